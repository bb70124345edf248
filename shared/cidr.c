#include "shared/cidr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "shared/value.h"

enum { ADDRESS_BYTES = 16, MAPPED_BYTES = 12, MAPPED_BITS = 8 * MAPPED_BYTES, ALL_BITS = 8 * ADDRESS_BYTES };

static const unsigned char mapped[MAPPED_BYTES] = { [10] = 0xff, [11] = 0xff };

static bool is_v4(const unsigned char address[ADDRESS_BYTES])
{
    return memcmp(address, mapped, sizeof mapped) == 0;
}

/* ---- one address ---- */

static bool read_address(struct str text, unsigned char out[ADDRESS_BYTES])
{
    char copy[INET6_ADDRSTRLEN];

    if (text.n >= sizeof copy || memchr(text.p, 0, text.n))
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = 0;
    memcpy(out, mapped, sizeof mapped);
    return inet_pton(AF_INET, copy, out + MAPPED_BYTES) == 1 || inet_pton(AF_INET6, copy, out) == 1;
}

bool cidr_address(struct str text, struct sockaddr_storage *out)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    unsigned char address[ADDRESS_BYTES];

    if (!read_address(text, address))
        return false;
    memset(out, 0, sizeof *out);
    if (is_v4(address)) {
        memcpy(&v4.sin_addr, address + MAPPED_BYTES, sizeof v4.sin_addr);
        memcpy(out, &v4, sizeof v4);
    } else {
        memcpy(&v6.sin6_addr, address, sizeof v6.sin6_addr);
        memcpy(out, &v6, sizeof v6);
    }
    return true;
}

/* ---- networks ---- */

/* Clears what is behind the bits; false when that was not clear. */
static bool clear_host(struct cidr *c)
{
    bool was_clear = true;

    for (unsigned i = 0; i < ADDRESS_BYTES; i++) {
        unsigned kept = c->bits >= 8 * (i + 1) ? 8 : c->bits > 8 * i ? c->bits - 8 * i : 0;
        unsigned char mask = (unsigned char)(0xff00u >> kept);

        was_clear = was_clear && (c->address[i] & ~mask & 0xff) == 0;
        c->address[i] &= mask;
    }
    return was_clear;
}

static int read_bits(struct str text, bool v4, struct cidr *out, struct err *e)
{
    const unsigned most = v4 ? 32 : ALL_BITS;
    int64_t bits;

    if (value_number(text, 0, most, &bits, NULL) != 0)
        return err_set(e, ERR_INPUT, "behind the / is not a number of bits from 0 to %u (such as %s)", most,
                       v4 ? "192.0.2.0/24" : "2001:db8::/32");
    out->bits = (uint8_t)(bits + (v4 ? MAPPED_BITS : 0));
    return 0;
}

/* Whoever writes 192.0.2.7/24 may mean the address or the network; and of ::ffff:10.0.0.0/8 what 10.0.0.0/8 is. */
static int refuse_host(const struct cidr *written, struct err *e)
{
    const bool counts_as_v4 = is_v4(written->address) && written->bits < MAPPED_BITS;
    struct cidr meant = *written;
    struct buf network = { 0 };

    if (counts_as_v4)
        meant.bits = (uint8_t)(MAPPED_BITS + (written->bits <= 32 ? written->bits : 32));
    clear_host(&meant);
    cidr_print(&network, &meant);
    err_set(e, ERR_INPUT,
            "the address has bits behind the /%s; write %s for the network, or the address alone",
            counts_as_v4 ? ", which counts from the beginning of ::ffff: on" : "", buf_text(&network));
    buf_free(&network);
    return -1;
}

int cidr_read(struct str text, struct cidr *out, struct err *e)
{
    const char *slash = memchr(text.p, '/', text.n);
    struct str address = { text.p, slash ? (size_t)(slash - text.p) : text.n };
    bool v4 = memchr(address.p, ':', address.n) == NULL; /* as it is written: it decides what bits count */
    struct cidr written;

    *out = (struct cidr){ .bits = ALL_BITS };
    if (!read_address(address, out->address))
        return err_set(e, ERR_INPUT,
                       "not an address or a network (such as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32)");
    if (slash && read_bits((struct str){ slash + 1, text.n - address.n - 1 }, v4, out, e) != 0)
        return -1;
    written = *out;
    return clear_host(out) ? 0 : refuse_host(&written, e);
}

void cidr_print(struct buf *out, const struct cidr *cidr)
{
    bool v4 = is_v4(cidr->address) && cidr->bits >= MAPPED_BITS;
    char text[INET6_ADDRSTRLEN];

    inet_ntop(v4 ? AF_INET : AF_INET6, cidr->address + (v4 ? MAPPED_BYTES : 0), text, sizeof text);
    buf_add_text(out, text);
    if (cidr->bits < ALL_BITS)
        buf_printf(out, "/%d", cidr->bits - (v4 ? MAPPED_BITS : 0));
}

bool cidr_same(const struct cidr *a, const struct cidr *b)
{
    return a->bits == b->bits && memcmp(a->address, b->address, ADDRESS_BYTES) == 0;
}

/* ---- which addresses ---- */

static bool has(const struct cidr *c, const unsigned char address[ADDRESS_BYTES])
{
    unsigned whole = c->bits / 8, rest = c->bits % 8;

    if (c->bits < MAPPED_BITS && is_v4(address))
        return false;
    return memcmp(c->address, address, whole) == 0 &&
           (rest == 0 || (c->address[whole] ^ address[whole]) >> (8 - rest) == 0);
}

bool cidrs_have(const struct cidrs *cidrs, const struct sockaddr_storage *addr)
{
    unsigned char address[ADDRESS_BYTES];

    if (cidrs->n == 0)
        return false;
    memcpy(address, mapped, sizeof mapped);
    if (addr->ss_family == AF_INET)
        memcpy(address + MAPPED_BYTES, &((const struct sockaddr_in *)addr)->sin_addr, 4);
    else if (addr->ss_family == AF_INET6)
        memcpy(address, &((const struct sockaddr_in6 *)addr)->sin6_addr, sizeof address);
    else
        return false;
    for (size_t i = 0; i < cidrs->n; i++)
        if (has(&cidrs->list[i], address))
            return true;
    return false;
}
