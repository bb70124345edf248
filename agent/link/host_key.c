#include "agent/link/host_key.h"

#include "shared/file.h"
#include "shared/known_hosts.h"
#include "shared/log.h"

#include <stdio.h>
#include <string.h>

enum { FILE_BYTES = 8 * 1024 * 1024 };

static int check_pinned(const struct session_conf *conf, const char *shown, struct err *e)
{
    if (strcmp(shown, conf->host_key) == 0)
        return 0;
    return err_set(e, ERR_PEER,
                   "%s shows the host key %s, but host_key is %s: either that machine was set up anew, then "
                   "change host_key, or somebody stands in between",
                   conf->host, shown, conf->host_key);
}

static int explain(const struct session_conf *conf, const struct known_hosts_found *found, const char *shown,
                   struct err *e)
{
    const char *file = conf->known_hosts_file;

    switch (found->answer) {
    case KNOWN_HOSTS_YES: return 0;
    case KNOWN_HOSTS_OTHER:
        return err_set(
            e, ERR_PEER,
            "%s shows the host key %s, but %s:%zu names another one: either that machine was set up "
            "anew, then mend that line, or somebody stands in between",
            conf->host, shown, file, found->line);
    case KNOWN_HOSTS_REVOKED:
        return err_set(e, ERR_PEER, "%s shows the host key %s, which %s:%zu revokes", conf->host, shown, file,
                       found->line);
    case KNOWN_HOSTS_NO: break;
    }
    return err_set(
        e, ERR_MISSING,
        "%s has no ssh-ed25519 key of %s port %u%s; compare %s with what that machine's own ssh-keygen "
        "-lf prints, then add its line: ssh-keyscan -t ed25519 -p %u %s",
        file, conf->host, conf->port, found->other ? ", only one of another type" : "", shown, conf->port,
        conf->host);
}

static int check_known(const struct session_conf *conf, const char *key, const char *shown, struct err *e)
{
    struct known_hosts_found found;
    struct buf text = { 0 };
    struct err why = { 0 };
    int rc;

    if (file_read(conf->known_hosts_file, FILE_BYTES, &text, e) != 0)
        return err_wrap(e, "known_hosts_file");
    rc = known_hosts_look_up(&found, (struct str){ buf_bytes(&text), text.len }, conf->host, conf->port, key,
                             &why);
    buf_free(&text);
    if (rc != 0)
        return err_set(e, why.code, "known_hosts_file %s: %s", conf->known_hosts_file, why.text);
    if (found.authority > 0)
        log_info_limited(conf->relay,
                         "a line of known_hosts_file is not used: host certificates are not supported",
                         kv_str("relay", conf->relay), kv_int("line", (int64_t)found.authority));
    return explain(conf, &found, shown, e);
}

int host_key_check(const struct session_conf *conf, struct ssh_pipe *pipe, struct err *e)
{
    char key[SSH_KEY_LINE_BYTES], digest[SSH_KEY_FINGERPRINT_BYTES];
    char shown[sizeof digest + 16];

    if (ssh_pipe_host_key(pipe, key, e) != 0)
        return err_wrap(e, "%s shows no ed25519 host key", conf->host);
    ssh_key_fingerprint(key, digest);
    snprintf(shown, sizeof shown, "ssh-ed25519 %s", digest);
    return conf->known_hosts_file[0] ? check_known(conf, key, shown, e) : check_pinned(conf, shown, e);
}
