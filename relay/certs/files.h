/* relay/certs/files.h - certificates that somebody else renews: [domain NAME] cert_file and key_file, and default_cert.
 *
 * An object of the control plane. What is in the files is taken when they change, by whatever means (written anew,
 * renamed over, a symbolic link that points elsewhere); what cannot be used never takes the place of what can. */
#ifndef RELAY_CERTS_FILES_H
#define RELAY_CERTS_FILES_H
#include "relay/options.h"

#include <jansson.h>
#include <openssl/ssl.h>
#include <time.h>

struct files;

struct files *files_new(const struct opt_conf *conf);
void files_free(struct files *f); /* NULL is fine */
void files_reload(struct files *f, const struct opt_conf *conf);
/* Looks at the files. True when other certificates are to be shown than before. */
bool files_look(struct files *f);

bool files_has(const struct files *f, const char *site);
/* The certificate of the site names[0] with the aliases that follow; what is doubtful about it is logged once. The
 * reference is the caller's. NULL with the reason. */
SSL_CTX *files_context(struct files *f, const char *const *names, size_t n, time_t now, struct err *e);
/* default_cert's, borrowed until the next look or reload; NULL: there is none. */
SSL_CTX *files_default(struct files *f, time_t now);
/* cert {} of a domain in /v1/status. A new reference. */
json_t *files_status(const struct files *f, const char *site, time_t now);
#endif
