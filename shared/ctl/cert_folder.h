/* shared/ctl/cert_folder.h - the certificates in a folder of certbot, lego, acme.sh or Caddy, each with its key.
 *
 * No program's names of files are known here: what is a certificate and what is a key says the content, and a key belongs to
 * the certificate that has its public half. So any folder will do in which the two lie side by side. */
#ifndef SHARED_CTL_CERT_FOLDER_H
#define SHARED_CTL_CERT_FOLDER_H
#include "shared/err.h"

#include <stddef.h>
#include <stdint.h>

struct cert_found {
    char *path;      /* of the certificate's file */
    char *chain_pem; /* the leaf first, as complete as the folder allows; NULL: why says what is wrong */
    char *key_pem;
    char *why;
    int64_t not_after;
};

struct cert_folder {
    struct cert_found *list; /* those that are good for longest first */
    size_t n;
};

/* Reads the folder and those in it; of /etc/letsencrypt what is live. -1: it cannot be read. */
must_check int cert_folder_read(const char *folder, struct cert_folder *out, struct err *e);
void cert_folder_free(struct cert_folder *f); /* wipes the keys */
#endif
