#include "relay/edge/tickets.h"

#include "shared/mem.h"
#include "shared/secret.h"

#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct key {
    time_t made;
    unsigned char name[TICKETS_NAME_BYTES], cipher[32], mac[32];
};

struct tickets {
    atomic_int refs;
    EVP_CIPHER *cipher; /* fetched once: each look-up of it takes a lock */
    struct secret secret;
    struct key *keys; /* in the secret, the newest first */
    size_t n;
};

/* ---- a set, and the next one ---- */

static void make_key(struct key *key, time_t now)
{
    key->made = now;
    if (RAND_bytes(key->name, sizeof key->name) != 1 ||
        RAND_priv_bytes(key->cipher, sizeof key->cipher) != 1 ||
        RAND_priv_bytes(key->mac, sizeof key->mac) != 1)
        abort(); /* no randomness */
}

static bool is_of_use(const struct key *key, time_t now)
{
    return now >= key->made && now < key->made + (time_t)TICKETS_KEYS * TICKETS_ROTATE_S;
}

struct tickets *tickets_new(const struct tickets *before, time_t now)
{
    struct tickets *t = mem_new(sizeof *t);

    atomic_init(&t->refs, 1);
    t->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    if (!t->cipher)
        abort(); /* out of memory */
    secret_init(&t->secret, TICKETS_KEYS * sizeof *t->keys);
    t->keys = (struct key *)(void *)t->secret.bytes;
    make_key(&t->keys[t->n++], now);
    for (size_t i = 0; before && i < before->n && t->n < TICKETS_KEYS; i++)
        if (is_of_use(&before->keys[i], now))
            t->keys[t->n++] = before->keys[i];
    return t;
}

struct tickets *tickets_hold(struct tickets *t)
{
    atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void tickets_release(struct tickets *t)
{
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) > 1)
        return;
    secret_free(&t->secret);
    EVP_CIPHER_free(t->cipher);
    free(t);
}

bool tickets_due(const struct tickets *t, time_t now)
{
    return now < t->keys[0].made || now >= t->keys[0].made + TICKETS_ROTATE_S;
}

/* ---- one ticket ---- */

static int set_mac(const struct key *key, EVP_MAC_CTX *mac)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->mac, sizeof key->mac),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_CTX_set_params(mac, params) == 1 ? 0 : -1;
}

static int seal(const struct tickets *t, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                EVP_MAC_CTX *mac)
{
    const struct key *key = &t->keys[0];

    memcpy(name, key->name, sizeof key->name);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(t->cipher)) != 1 ||
        EVP_EncryptInit_ex2(cipher, t->cipher, key->cipher, iv, NULL) != 1 || set_mac(key, mac) != 0)
        return -1;
    return 1;
}

int tickets_prepare(const struct tickets *t, unsigned char name[TICKETS_NAME_BYTES],
                    unsigned char iv[EVP_MAX_IV_LENGTH], EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                    bool sealing)
{
    size_t i = 0;

    if (sealing)
        return seal(t, name, iv, cipher, mac);
    while (i < t->n && memcmp(t->keys[i].name, name, TICKETS_NAME_BYTES) != 0)
        i++;
    if (i == t->n)
        return 0;
    if (EVP_DecryptInit_ex2(cipher, t->cipher, t->keys[i].cipher, iv, NULL) != 1 ||
        set_mac(&t->keys[i], mac) != 0)
        return -1;
    return i == 0 ? 1 : 2;
}
