#include "agent/link/keypair.h"

#include "shared/file.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEAD  "-----BEGIN OPENSSH PRIVATE KEY-----\n"
#define TAIL  "-----END OPENSSH PRIVATE KEY-----\n"
#define MAGIC "openssh-key-v1" /* and its NUL */
#define TYPE  "ssh-ed25519"

enum { ROOM = 1024, LINE_CHARS = 70, BLOCK = 8, CHECK_BYTES = 4 };

/* ---- written ---- */

struct out {
    unsigned char *at;
    size_t n;
};

static void add(struct out *o, const void *bytes, size_t n)
{
    assert(o->n + n <= ROOM);
    memcpy(o->at + o->n, bytes, n);
    o->n += n;
}

static void add_u32(struct out *o, size_t n)
{
    const unsigned char bytes[4] = { (unsigned char)(n >> 24), (unsigned char)(n >> 16),
                                     (unsigned char)(n >> 8), (unsigned char)n };

    add(o, bytes, sizeof bytes);
}

static void add_string(struct out *o, const void *bytes, size_t n)
{
    add_u32(o, n);
    add(o, bytes, n);
}

static void add_text(struct out *o, const char *text)
{
    add_string(o, text, strlen(text));
}

static void add_public(struct out *o, const unsigned char raw[SSH_KEY_RAW_BYTES])
{
    add_u32(o, 4 + strlen(TYPE) + 4 + SSH_KEY_RAW_BYTES);
    add_text(o, TYPE);
    add_string(o, raw, SSH_KEY_RAW_BYTES);
}

/* Two equal numbers, by which a wrong passphrase would show; then the key; then 1, 2, 3 … up to whole blocks. */
static void add_private(struct out *o, const unsigned char seed[SSH_KEY_SEED_BYTES],
                        const unsigned char raw[SSH_KEY_RAW_BYTES], const char *comment)
{
    unsigned char check[CHECK_BYTES] = { 0 };
    size_t length_at = o->n, begin;

    (void)RAND_bytes(check, sizeof check); /* no secret: without randomness they are zero, and still equal */
    add_u32(o, 0);
    begin = o->n;
    add(o, check, sizeof check);
    add(o, check, sizeof check);
    add_text(o, TYPE);
    add_string(o, raw, SSH_KEY_RAW_BYTES);
    add_u32(o, SSH_KEY_SEED_BYTES + SSH_KEY_RAW_BYTES);
    add(o, seed, SSH_KEY_SEED_BYTES);
    add(o, raw, SSH_KEY_RAW_BYTES);
    add_string(o, comment, strnlen(comment, KEYPAIR_COMMENT_BYTES));
    for (unsigned char i = 1; (o->n - begin) % BLOCK != 0; i++)
        add(o, &i, 1);
    add_u32(&(struct out){ o->at, length_at }, o->n - begin);
}

static void add_lines(struct out *o, const char *base64)
{
    for (size_t left = strlen(base64); left > 0;) {
        size_t n = left < LINE_CHARS ? left : LINE_CHARS;

        add(o, base64, n);
        add(o, "\n", 1);
        base64 += n;
        left -= n;
    }
}

void keypair_text(const unsigned char seed[SSH_KEY_SEED_BYTES], const char *comment, struct secret *out)
{
    char line[SSH_KEY_LINE_BYTES];
    unsigned char raw[SSH_KEY_RAW_BYTES];
    struct secret binary, base64;
    struct out b, text;

    secret_init(&binary, ROOM);
    secret_init(&base64, ROOM);
    secret_init(out, ROOM);
    b = (struct out){ binary.bytes, 0 };
    text = (struct out){ out->bytes, 0 };
    ssh_key_of_seed(seed, line);
    ssh_key_raw(line, raw);

    add(&b, MAGIC, sizeof MAGIC);
    add_text(&b, "none"); /* cipher */
    add_text(&b, "none"); /* how a passphrase becomes its key */
    add_text(&b, "");
    add_u32(&b, 1); /* key */
    add_public(&b, raw);
    add_private(&b, seed, raw, comment);

    EVP_EncodeBlock(base64.bytes, binary.bytes, (int)b.n);
    add(&text, HEAD, strlen(HEAD));
    add_lines(&text, (const char *)base64.bytes);
    add(&text, TAIL, strlen(TAIL));
    out->n = text.n;
    secret_free(&binary);
    secret_free(&base64);
}

/* ---- read ---- */

struct in {
    const unsigned char *at;
    size_t n;
};

static int take_u32(struct in *in, size_t *n)
{
    if (in->n < 4)
        return -1;
    *n = (size_t)in->at[0] << 24 | (size_t)in->at[1] << 16 | (size_t)in->at[2] << 8 | in->at[3];
    in->at += 4;
    in->n -= 4;
    return 0;
}

static int take_string(struct in *in, struct in *out)
{
    size_t n;

    if (take_u32(in, &n) != 0 || n > in->n)
        return -1;
    *out = (struct in){ in->at, n };
    in->at += n;
    in->n -= n;
    return 0;
}

static bool is_text(const struct in *in, const char *text)
{
    return in->n == strlen(text) && memcmp(in->at, text, in->n) == 0;
}

static int parse(struct in in, char line[SSH_KEY_LINE_BYTES], struct err *e)
{
    struct in cipher, kdf, options, public, type, raw;
    size_t keys;

    if (in.n < sizeof MAGIC || memcmp(in.at, MAGIC, sizeof MAGIC) != 0)
        return err_set(e, ERR_INPUT, "it is not in OpenSSH's own format");
    in.at += sizeof MAGIC;
    in.n -= sizeof MAGIC;
    if (take_string(&in, &cipher) != 0 || take_string(&in, &kdf) != 0 || take_string(&in, &options) != 0 ||
        take_u32(&in, &keys) != 0 || keys != 1 || take_string(&in, &public) != 0 ||
        take_string(&public, &type) != 0)
        return err_set(e, ERR_INPUT, "it is damaged");
    if (!is_text(&cipher, "none"))
        return err_set(e, ERR_INPUT, "it has a passphrase, which nobody could type in");
    if (!is_text(&type, TYPE))
        return err_set(e, ERR_INPUT, "it is of type %.*s; only ssh-ed25519 is used here",
                       (int)(type.n < 40 ? type.n : 40), (const char *)type.at);
    if (take_string(&public, &raw) != 0 || raw.n != SSH_KEY_RAW_BYTES)
        return err_set(e, ERR_INPUT, "it is damaged");
    ssh_key_of_raw(raw.at, line);
    return 0;
}

int keypair_public(struct str text, char line[SSH_KEY_LINE_BYTES], struct err *e)
{
    const size_t head = strlen(HEAD) - 1;
    const char *end = memmem(text.p, text.n, "\n-----END", strlen("\n-----END"));
    struct secret base64, binary;
    size_t n = 0;
    int rc;

    if (text.n > KEYPAIR_FILE_BYTES || text.n < head || memcmp(text.p, HEAD, head) != 0 || !end)
        return err_set(e, ERR_INPUT, "it is not in OpenSSH's own format");
    secret_init(&base64, text.n);
    secret_init(&binary, text.n);
    for (const char *p = text.p + head; p < end; p++)
        if (*p != '\n' && *p != '\r')
            base64.bytes[n++] = (unsigned char)*p;
    rc = n % 4 == 0 ? EVP_DecodeBlock(binary.bytes, base64.bytes, (int)n) : -1;
    rc = rc > 0 ? parse((struct in){ binary.bytes, (size_t)rc }, line, e)
                : err_set(e, ERR_INPUT, "it is damaged");
    secret_free(&base64);
    secret_free(&binary);
    return rc;
}

/* ---- the file ---- */

static int make(const char *path, const char *comment, struct err *e)
{
    struct secret seed, text;
    int rc;

    secret_init(&seed, SSH_KEY_SEED_BYTES);
    rc = RAND_bytes(seed.bytes, SSH_KEY_SEED_BYTES) == 1
             ? 0
             : err_set(e, ERR_SYSTEM, "there is no randomness for a key");
    if (rc == 0) {
        keypair_text(seed.bytes, comment, &text);
        rc = file_write(path, text.bytes, text.n, 0600, e);
        secret_free(&text);
    }
    secret_free(&seed);
    return rc;
}

int keypair_take(const char *path, const char *comment, char line[SSH_KEY_LINE_BYTES], struct err *e)
{
    struct secret text;
    int rc;

    if (access(path, F_OK) != 0 && errno == ENOENT && make(path, comment, e) != 0)
        return -1;
    if (secret_load(&text, path, KEYPAIR_FILE_BYTES, e) != 0)
        return -1;
    rc = keypair_public((struct str){ (const char *)text.bytes, text.n }, line, e);
    secret_free(&text);
    return rc == 0 ? 0
                   : err_wrap(e, "the key in %s cannot be used; move it away, and another one will be made",
                              path);
}
