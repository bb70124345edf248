#include "shared/page/asset.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdint.h>
#include <stdio.h>

/* The assembler copies the files in; the Makefile knows that this object is made of them, too. */
__asm__(".pushsection .rodata, \"a\", %progbits\n"
        "page_css_begin: .incbin \"shared/page/page.css\"\n"
        "page_css_end:\n"
        "page_js_begin: .incbin \"shared/page/page.js\"\n"
        "page_js_end:\n"
        ".byte 0\n"
        ".popsection\n");
extern const char page_css_begin[], page_css_end[], page_js_begin[], page_js_end[];

static struct str between(const char *begin, const char *end)
{
    return (struct str){ begin, (size_t)((uintptr_t)end - (uintptr_t)begin) };
}

struct str asset_css(void)
{
    return between(page_css_begin, page_css_end);
}

struct str asset_js(void)
{
    return between(page_js_begin, page_js_end);
}

enum { HASH_BYTES = 4 * ((SHA256_DIGEST_LENGTH + 2) / 3) + 1 };

static const char *hash_of(struct str text, char out[HASH_BYTES])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];

    SHA256((const unsigned char *)text.p, text.n, digest);
    EVP_EncodeBlock((unsigned char *)out, digest, sizeof digest);
    return out;
}

void asset_fields(char out[ASSET_FIELDS_BYTES])
{
    char css[HASH_BYTES], js[HASH_BYTES];

    snprintf(
        out, ASSET_FIELDS_BYTES,
        "Content-Security-Policy: default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
        "X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\n"
        "Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Resource-Policy: same-origin\r\n",
        hash_of(asset_css(), css), hash_of(asset_js(), js));
}
