#include "relay/certs/kept.h"

#include "relay/certs/chain.h"
#include "relay/edge/tls.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

void kept_free(struct kept *k)
{
    free(k->chain_pem);
    free(k->issuer);
    signer_free(k->key);
    *k = (struct kept){ 0 };
}

static int use(const struct kept *k, const struct chain *chain, SSL_CTX *ctx, struct err *e)
{
    for (size_t i = 0; i < chain->n; i++)
        if ((i == 0 ? SSL_CTX_use_certificate(ctx, chain->certs[0])
                    : SSL_CTX_add1_chain_cert(ctx, chain->certs[i])) != 1) {
            ERR_clear_error();
            return err_set(e, ERR_INPUT, "what %s has issued cannot be used for TLS", k->issuer);
        }
    return signer_use(k->key, ctx, e);
}

SSL_CTX *kept_context(const struct kept *k, struct err *e)
{
    struct chain chain = { 0 };
    SSL_CTX *ctx = NULL;

    if (chain_read(k->chain_pem, strlen(k->chain_pem), &chain, e) != 0)
        return NULL;
    ctx = tls_site_context();
    if (use(k, &chain, ctx, e) != 0) {
        SSL_CTX_free(ctx);
        ctx = NULL;
    }
    chain_free(&chain);
    return ctx;
}
