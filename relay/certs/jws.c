#include "relay/certs/jws.h"

#include "shared/json.h"
#include "shared/mem.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

/* ---- base64url ---- */

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_add(struct buf *out, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    uint32_t bits = 0;
    int held = 0;

    for (size_t i = 0; i < n; i++) {
        bits = bits << 8 | p[i];
        for (held += 8; held >= 6; held -= 6)
            buf_add(out, &letters[bits >> (held - 6) & 63], 1);
    }
    if (held > 0)
        buf_add(out, &letters[bits << (6 - held) & 63], 1);
}

int base64url_read(struct str text, struct buf *out, struct err *e)
{
    uint32_t bits = 0;
    int held = 0;

    for (size_t i = 0; i < text.n; i++) {
        const char *at = text.p[i] ? strchr(letters, text.p[i]) : NULL;

        if (!at)
            return err_set(e, ERR_INPUT, "character %zu is none of base64url: A-Z a-z 0-9 - _", i + 1);
        bits = bits << 6 | (uint32_t)(at - letters);
        held += 6;
        if (held >= 8) {
            unsigned char byte = (unsigned char)(bits >> (held - 8));

            held -= 8;
            buf_add(out, &byte, 1);
        }
    }
    if (held == 6 || (bits & ((1u << held) - 1)) != 0)
        return err_set(e, ERR_INPUT, "is cut off: no base64url ends like this");
    return 0;
}

/* ---- digests ---- */

void jws_digest(const void *bytes, size_t n, char out[JWS_THUMBPRINT_BYTES])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    struct buf text = { 0 };

    SHA256(bytes, n, digest);
    base64url_add(&text, digest, sizeof digest);
    memcpy(out, buf_text(&text), JWS_THUMBPRINT_BYTES);
    buf_free(&text);
}

int jws_thumbprint(const struct signer *key, char out[JWS_THUMBPRINT_BYTES], struct err *e)
{
    struct buf jwk = { 0 };
    int rc = signer_jwk(key, &jwk, e);

    if (rc == 0)
        jws_digest(buf_bytes(&jwk), jwk.len, out);
    buf_free(&jwk);
    return rc;
}

/* ---- messages ---- */

static json_t *jwk_of(const struct signer *key, struct err *e)
{
    struct buf text = { 0 };
    json_t *jwk = signer_jwk(key, &text, e) == 0 ? json_read(buf_bytes(&text), text.len, e) : NULL;

    buf_free(&text);
    return jwk;
}

/* "base64url of the header" "." "base64url of the payload": what is signed. */
static void put_signed_part(struct buf *out, const json_t *header, const char *payload, size_t payload_n)
{
    char *text = json_dumps(header, JSON_COMPACT);

    if (!text)
        abort(); /* out of memory: it holds nothing that cannot be written */
    base64url_add(out, text, strlen(text));
    buf_add(out, ".", 1);
    base64url_add(out, payload, payload_n);
    free(text);
}

/* Flattened: {"protected":…,"payload":…,"signature":…}. None of them has a letter that JSON would have to escape. */
static void put_flattened(struct buf *out, struct buf *signed_part, const struct buf *signature)
{
    const char *text = buf_text(signed_part), *dot = strchr(text, '.');

    buf_printf(out, "{\"protected\":\"%.*s\",\"payload\":\"%s\",\"signature\":\"", (int)(dot - text), text,
               dot + 1);
    base64url_add(out, buf_bytes(signature), signature->len);
    buf_add_text(out, "\"}");
}

static json_t *header_of(const struct jws *jws, struct err *e)
{
    json_t *header = json_pack("{s:s,s:s}", "alg", signer_jws_alg(jws->key), "url", jws->url), *jwk = NULL;

    if (!header || (!jws->kid && !(jwk = jwk_of(jws->key, e)))) {
        json_decref(header);
        return NULL;
    }
    if (jws->nonce)
        json_object_set_new(header, "nonce", json_string(jws->nonce));
    if (jws->kid)
        json_object_set_new(header, "kid", json_string(jws->kid));
    else
        json_object_set_new(header, "jwk", jwk);
    return header;
}

int jws_make(const struct jws *jws, struct buf *out, struct err *e)
{
    struct buf signed_part = { 0 }, signature = { 0 };
    json_t *header = header_of(jws, e);
    int rc = -1;

    if (!header)
        return err_wrap(e, "cannot sign a message for the CA");
    put_signed_part(&signed_part, header, jws->payload, strlen(jws->payload));
    rc = signer_jws_sign(jws->key, buf_bytes(&signed_part), signed_part.len, &signature, e);
    if (rc == 0)
        put_flattened(out, &signed_part, &signature);
    json_decref(header);
    buf_free(&signed_part);
    buf_free(&signature);
    return rc;
}

int jws_bind(const struct signer *account, const char *kid, const struct buf *key, const char *url,
             struct buf *out, struct err *e)
{
    json_t *header = json_pack("{s:s,s:s,s:s}", "alg", "HS256", "kid", kid, "url", url);
    struct buf jwk = { 0 }, signed_part = { 0 }, signature = { 0 };
    unsigned char mac[SHA256_DIGEST_LENGTH];
    int rc = header ? signer_jwk(account, &jwk, e)
                    : err_set(e, ERR_INPUT, "eab_kid is not well-formed UTF-8; write it as the CA gave it");

    if (rc == 0) {
        put_signed_part(&signed_part, header, buf_bytes(&jwk), jwk.len);
        HMAC(EVP_sha256(), buf_bytes(key), (int)key->len, (const unsigned char *)buf_bytes(&signed_part),
             signed_part.len, mac, NULL);
        buf_add(&signature, mac, sizeof mac);
        put_flattened(out, &signed_part, &signature);
    }
    json_decref(header);
    buf_free(&jwk);
    buf_free(&signed_part);
    buf_free(&signature);
    return rc;
}
