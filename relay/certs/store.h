/* relay/certs/store.h - certificates and their keys on disk: STATE_DIR/certs/NAME/, for us and for other programs.
 *
 *   certs/a.com/fullchain.pem, privkey.pem, meta.json   through the link `current`; read these
 *   certs/a.com/fullchain-rsa.pem, privkey-rsa.pem      where there is an RSA pair beside an ECDSA one
 *   certs/a.com/current -> 7                            one rename changes all of them
 *   certs/a.com/7/ 6/ …                                 the versions; a few old ones stay
 *   certs/_wildcard.a.com/                              of *.a.com
 *
 * Folders are 0700, files 0600. A kill at any moment leaves the old version or the new one. The store holds nothing but its folder and a
 * lock: functions may be called on any thread, by one at a time for each name. */
#ifndef RELAY_CERTS_STORE_H
#define RELAY_CERTS_STORE_H
#include "relay/certs/meta.h"
#include "relay/certs/signer.h"

struct store;

enum {
    STORE_NAME_BYTES = 280,
    STORE_KEPT = 4, /* old versions of a name */
    STORE_OLD_S =
        30 * 24 *
        3600, /* how long a name that no site has any more is kept after the end of its certificate */
};

/* Makes STATE_DIR/certs, holds it (ERR_TAKEN: another process does), and clears away what a kill has left. */
struct store *store_open(const char *state_dir, struct err *e);
void store_free(struct store *s); /* NULL is fine */

/* The folder of a site's name; -1 for what is no name: nothing of it reaches the disk. */
must_check int store_folder(const char *name, char out[STORE_NAME_BYTES], struct err *e);
/* Each name that has a folder, in no order. */
void store_each(const struct store *s, void (*each)(void *user, const char *name), void *user);

/* What is known of the name. Nothing known is fine: m is then empty. A meta.json that is damaged is logged and put
 * aside: the certificates beside it count. -1: the disk cannot be read, and m is empty. m is initialized here. */
must_check int store_load(const struct store *s, const char *name, struct meta *m, struct err *e);
/* Writes meta.json, when it differs. */
must_check int store_save(const struct store *s, const struct meta *m, struct err *e);

/* A certificate for the store. Borrowed for the call. */
struct store_offer {
    const char *chain_pem;
    const struct signer *key;
    const char *const *names; /* that it has to cover */
    size_t names_n;
    const char *issuer, *directory, *profile, *origin; /* as in struct meta_cert */
    const char *const
        *wanted; /* all names of the site, also those that are left out this time; NULL: the same */
    size_t wanted_n;
    bool deploys; /* a program is to be run then: noted until store_deployed */
    bool import;  /* not asked for by us: it has to be better than what is there */
    uint32_t random;
};

/* Is it usable at all? And not worse than what is in its place (ERR_TAKEN)? -1 with why, in words. Writes nothing. */
must_check int store_judge(const struct store_offer *o, const struct meta *m, int64_t now, struct err *e);
/* Judges it, and puts it in place of the one with the same kind of key, with m as it then is: the order ended, nothing
 * failed, renewal begun. -1: everything is as before, m too. */
must_check int store_install(const struct store *s, const struct store_offer *o, struct meta *m, int64_t now,
                             struct err *e);
/* The pair of this kind of key is wanted no more; the other stays. */
must_check int store_drop(const struct store *s, struct meta *m, enum meta_slot slot, struct err *e);
/* Nothing of the name is worth anything any more: its last certificate ended STORE_OLD_S ago; or where there is none, nothing has
 * happened since then. */
bool store_is_old(const struct store *s, const char *name, int64_t now);
/* All of the name, its old versions too. */
must_check int store_forget(const struct store *s, const char *name, struct err *e);

/* Where the key of an order lies while that is not done, so that an order that was finalized before a kill can still be
 * taken: STATE_DIR/certs/NAME/order.key. store_install removes it. The folder is made. */
must_check int store_order_key(const struct store *s, const char *name, char **path, struct err *e);
/* No order is under way. */
void store_drop_order_key(const struct store *s, const char *name);
/* Where fullchain.pem and privkey.pem of this kind of key lie: two paths, which the caller frees. False: there is none. */
bool store_pair(const struct store *s, const struct meta *m, enum meta_slot slot, char **chain, char **key);
/* A program is to be run for a certificate that came: it was not begun, or its end was not seen. */
bool store_deploys(const struct store *s, const char *name);
void store_deploy_begins(const struct store *s, const char *name);
/* What has begun has ended; what came meanwhile stays noted. why: it did not end well, which is noted until one does. */
void store_deployed(const struct store *s, const char *name, const char *why, int64_t now);
/* Why the last one did not end well, and since when none has. To be freed; NULL: it did. */
char *store_undeployed(const struct store *s, const char *name, int64_t *since);
/* The kinds of key whose certificates are to be shown now, a bit for each: those that are good; when none is, all that there are. */
unsigned store_shown(const struct meta *m, int64_t now);
/* A TLS context with these. NULL with the reason. */
SSL_CTX *store_context(const struct store *s, const struct meta *m, int64_t now, struct err *e);
#endif
