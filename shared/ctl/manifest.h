/* shared/ctl/manifest.h - what a backup says of itself: its first file, manifest.json. Pure.
 *
 * {"v": 1, "role": "relay", "version": "0.1.0", "made": "…", "config": "/etc/tunnel/relay.ini",
 *  "state_dir": "/var/lib/tunnel-relay", "owner": "tunnel-relay",
 *  "files": [{"path": "/etc/tunnel/relay.ini", "mode": "0640", "owner": "root", "group": "tunnel-relay", "size": 812,
 *             "sha256": "…"}],
 *  "folders": [{"path": "/var/lib/tunnel-relay", "mode": "0700", "owner": …, "group": …}]} */
#ifndef SHARED_CTL_MANIFEST_H
#define SHARED_CTL_MANIFEST_H
#include "shared/err.h"
#include "shared/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define MANIFEST_NAME "manifest.json"
enum {
    MANIFEST_VERSION = 1,
    MANIFEST_BYTES = 16 * 1024 * 1024,
    MANIFEST_FILES = 100000,
    MANIFEST_SUM_BYTES = 65
};

/* One of files or folders; borrowed from the manifest. */
struct manifest_entry {
    const char *path, *owner, *group, *sum; /* sum: "" of a folder */
    uint32_t mode;
    int64_t size;
};

/* SHA-256 in hex. */
void manifest_sum(struct str content, char out[MANIFEST_SUM_BYTES]);
/* Everything that can be judged without looking at this machine: -1 with the reason. */
must_check int manifest_check(const json_t *manifest, struct err *e);
/* Of one that has been checked. False at the end. */
bool manifest_file(const json_t *manifest, size_t i, struct manifest_entry *entry);
bool manifest_folder(const json_t *manifest, size_t i, struct manifest_entry *entry);
/* Whether the path is the folder, or below it. */
bool manifest_is_in(const char *path, const char *folder);
#endif
