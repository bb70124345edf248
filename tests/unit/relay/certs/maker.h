/* tests/unit/relay/certs/maker.h - certificates for tests, from an authority of one's own. */
#ifndef TESTS_UNIT_RELAY_CERTS_MAKER_H
#define TESTS_UNIT_RELAY_CERTS_MAKER_H
#include "relay/certs/own_cert.h"
#include "relay/certs/signer.h"

#include <openssl/asn1.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "shared/mem.h"

struct maker {
    struct signer *key;
    X509 *root;
};

struct made_order {
    const char *const *names;
    size_t names_n;
    time_t from, life_s;
    enum key_type type;
};

struct made {
    char *pem; /* the leaf, then the authority */
    struct signer *key;
};

static inline void made_sure(int well)
{
    if (!well)
        abort();
}

static inline struct maker *maker_new(const char *name)
{
    struct maker *m = mem_new(sizeof *m);
    X509_NAME *subject;

    m->key = signer_new();
    m->root = own_cert_new(m->key, 0, 1);
    own_cert_put_times(m->root, 1, 4000000000);
    subject = X509_get_subject_name(m->root);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(m->root, subject);
    made_sure(own_cert_extend(m->root, m->root, NID_basic_constraints, "critical,CA:TRUE", NULL) == 0 &&
              own_cert_extend(m->root, m->root, NID_subject_key_identifier, "hash", NULL) == 0 &&
              signer_sign(m->key, m->root, NULL) == 0);
    return m;
}

static inline void maker_free(struct maker *m)
{
    signer_free(m->key);
    X509_free(m->root);
    free(m);
}

static inline char *maker_pem(X509 *leaf, X509 *root)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes, *text;
    long n;

    made_sure(PEM_write_bio_X509(bio, leaf) == 1 && (!root || PEM_write_bio_X509(bio, root) == 1));
    n = BIO_get_mem_data(bio, &bytes);
    text = mem_copy_n(bytes, (size_t)n);
    BIO_free(bio);
    return text;
}

static inline struct made maker_issue(const struct maker *m, const struct made_order *o)
{
    struct made made = { NULL, signer_make(o->type) };
    X509 *leaf = own_cert_new(made.key, o->from, 1);

    own_cert_put_times(leaf, o->from, o->from + o->life_s);
    X509_set_issuer_name(leaf, X509_get_subject_name(m->root));
    made_sure(own_cert_extend_names(leaf, "critical,", o->names, o->names_n, NULL) == 0 &&
              own_cert_extend(leaf, m->root, NID_authority_key_identifier, "keyid", NULL) == 0 &&
              signer_sign(m->key, leaf, NULL) == 0);
    made.pem = maker_pem(leaf, m->root);
    X509_free(leaf);
    return made;
}

static inline void made_free(struct made *made)
{
    free(made->pem);
    signer_free(made->key);
}
#endif
