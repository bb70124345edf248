/* relay/certs/store_parts.h - for the files of the store alone: one name's folder, and its versions. */
#ifndef RELAY_CERTS_STORE_PARTS_H
#define RELAY_CERTS_STORE_PARTS_H
#include "relay/certs/store.h"

#include <stdbool.h>

struct store {
    char *folder; /* STATE_DIR/certs */
    int lock;
};

/* What a version holds, beside meta.json. */
#define STORE_META      "meta.json"
/* The key of an order, in the name's folder. */
#define STORE_ORDER_KEY "order.key"

/* Notes of a program that is to be run: it was not begun, and it has begun (empty files); it did not end well: since when,
 * in Unix time, a blank, and why. */
#define STORE_DEPLOY        "deploy.due"
#define STORE_DEPLOY_BEGUN  "deploy.begun"
#define STORE_DEPLOY_FAILED "deploy.failed"

/* One name's folder; free it. NULL with the reason for what is no name. */
char *store_path(const struct store *s, const char *name, struct err *e);
/* The file of this slot, "fullchain" or "privkey", in a version that holds these: an ECDSA pair has the plain name, and
 * so has an RSA pair that is alone. */
void store_file(const struct meta *m, enum meta_slot slot, const char *what, char out[32]);

/* The key in a file of the store. One that others can read is told of, and used: another order would not make it better.
 * NULL with the reason. */
struct signer *store_load_key(const char *path, struct err *e);
/* A new version of the name is written as m says, with this new pair in it (key NULL: none is new), and takes the place of the
 * one that was. The other pair is taken from there, as `before` says. */
must_check int store_write_version(const struct store *s, const struct meta *m, const struct meta *before,
                                   enum meta_slot slot, const struct signer *key, struct err *e);
/* Before the certificate is there: a kill in between runs it once too often, and never too seldom. *noted: the note is this
 * certificate's; else there is one of another that came before it. */
must_check int store_note_deployment(const struct store *s, const char *name, bool *noted, struct err *e);
void store_forget_deployment(const struct store *s, const char *name);
/* Clears away what a kill has left in the name's folder, and all but a few old versions. */
void store_tidy(const char *folder);
/* The folder with all that is in it. */
must_check int store_remove(const char *folder, struct err *e);
#endif
