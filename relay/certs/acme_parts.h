/* relay/certs/acme_parts.h - what acme.c and account.c both hold of a CA. */
#ifndef RELAY_CERTS_ACME_PARTS_H
#define RELAY_CERTS_ACME_PARTS_H
#include "relay/certs/account.h"
#include "relay/certs/acme.h"
#include "relay/certs/nonces.h"

#include <pthread.h>

struct account {
    pthread_mutex_t making; /* held while an account is read, made or looked for; the rest is under it */
    /* Besides, for reading: while a request is under way that the key has signed; for writing: to change key or kid. */
    pthread_rwlock_t use;
    bool loaded, deactivated, unsettled; /* unsettled: account.key.next may be the key by now */
    struct signer *key;
    char *kid; /* NULL: there is no account yet */
    int64_t made_at[ACCOUNT_MADE_AT_MOST];
    size_t made_n;
    /* What came of making one, so that a hundred orders do not try it a hundred times. */
    enum acme_class failed;
    struct err failed_why;
    uint64_t failed_until_ms;
};

struct acme_ca {
    struct acme_conf conf;
    pthread_mutex_t asking; /* held while the directory is fetched */
    pthread_mutex_t lock;   /* for what follows; never held for long */
    json_t *directory;
    uint64_t directory_until_ms; /* of the loop's clock, that only goes forward */
    struct nonces nonces;
    int64_t clock_ahead_s;
    struct account account;
};

void account_init(struct account *a);
void account_free(struct account *a);

/* What the files of an account have for each other; all with the lock `making` held. */
must_check int account_ready_locked(struct acme_ca *ca, struct job *job, struct acme_why *why);
/* newAccount with this payload, by this key: the account's URL, a copy, and the status of the reply. */
must_check int account_ask(struct acme_ca *ca, struct job *job, const struct signer *key, const char *url,
                           const json_t *payload, char **kid, int *status, struct acme_why *why);
/* Whether the CA knows account.key.next by now. */
must_check int account_settle(struct acme_ca *ca, struct job *job, struct acme_why *why);

char *account_path(const struct acme_ca *ca, const char *name); /* in its folder; the caller frees it */
must_check int account_load(struct acme_ca *ca, struct acme_why *why);
must_check int account_save(struct acme_ca *ca, struct acme_why *why);
/* Before one is made: fails when there were too many. */
must_check int account_count(struct acme_ca *ca, struct acme_why *why);
void account_uncount(struct acme_ca *ca); /* none was made */
#endif
