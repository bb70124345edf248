#include "shared/bans.h"

#include "shared/file.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAPPED_BITS = 96, WIDEST_V4 = MAPPED_BITS + 8, WIDEST_V6 = 16, ADDRESS_BITS = 128 };

/* ---- one of them ---- */

struct ban *ban_hold(struct ban *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void ban_release(struct ban *b)
{
    if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
        free(b);
}

void ban_text(const struct ban *b, char out[BANS_ADDRESS_BYTES])
{
    struct buf text = { 0 };

    cidr_print(&text, &b->net);
    snprintf(out, BANS_ADDRESS_BYTES, "%s", buf_text(&text));
    buf_free(&text);
}

json_t *ban_json(const struct ban *b)
{
    char address[BANS_ADDRESS_BYTES];

    ban_text(b, address);
    return json_pack("{s:s, s:o, s:o, s:I}", "address", address, "since", json_time((time_t)b->since),
                     "until", json_time((time_t)b->until), "hits", (json_int_t)atomic_load(&b->hits));
}

/* ---- the list ---- */

void bans_free(struct bans *b)
{
    for (size_t i = 0; i < b->n; i++)
        ban_release(b->list[i]);
    free(b->list);
    *b = (struct bans){ 0 };
}

static size_t place_of(const struct bans *b, const struct cidr *net)
{
    size_t i = 0;

    while (i < b->n && !cidr_same(&b->list[i]->net, net))
        i++;
    return i;
}

struct ban *bans_find(const struct bans *b, const struct cidr *net)
{
    size_t i = place_of(b, net);

    return i < b->n ? b->list[i] : NULL;
}

static void remove_at(struct bans *b, size_t i)
{
    ban_release(b->list[i]);
    memmove(b->list + i, b->list + i + 1, (--b->n - i) * sizeof *b->list);
}

/* Others read the entry that there is, so another one takes its place; it goes on counting. */
int bans_put(struct bans *b, const struct cidr *net, int64_t now, int64_t until, struct err *e)
{
    struct ban *before = bans_find(b, net), *added;

    if (!before && b->n == BANS_MAX)
        return err_set(e, ERR_LIMIT, "there are %d of them already; take one back with tunnelctl unban",
                       BANS_MAX);
    added = mem_new(sizeof *added);
    added->net = *net;
    added->since = before ? before->since : now;
    added->until = until;
    atomic_init(&added->hits, before ? atomic_load(&before->hits) : 0);
    atomic_init(&added->refs, 1);
    if (before)
        remove_at(b, place_of(b, net));
    b->list = mem_grow(b->list, (b->n + 1) * sizeof *b->list);
    b->list[b->n++] = added;
    return 0;
}

bool bans_take_out(struct bans *b, const struct cidr *net)
{
    size_t i = place_of(b, net);

    if (i == b->n)
        return false;
    remove_at(b, i);
    return true;
}

bool bans_expire(struct bans *b, int64_t now)
{
    size_t before = b->n;

    for (size_t i = b->n; i > 0; i--)
        if (b->list[i - 1]->until <= now)
            remove_at(b, i - 1);
    return b->n < before;
}

/* ---- which networks ---- */

bool bans_overlap(const struct cidr *a, const struct cidr *b)
{
    unsigned bits = a->bits < b->bits ? a->bits : b->bits;
    unsigned whole = bits / 8, rest = bits % 8;

    return memcmp(a->address, b->address, whole) == 0 &&
           (rest == 0 || (a->address[whole] ^ b->address[whole]) >> (8 - rest) == 0);
}

static bool is_ours(const struct cidr *net)
{
    static const char *const own[] = { "127.0.0.0/8", "::1", "0.0.0.0", "::" };
    struct cidr cidr;

    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (cidr_read(str_of(own[i]), &cidr, NULL) == 0 && bans_overlap(&cidr, net))
            return true;
    return false;
}

int bans_read_net(struct str text, struct cidr *net, struct err *e)
{
    static const unsigned char mapped[MAPPED_BITS / 8] = { [10] = 0xff, [11] = 0xff };
    bool v4;

    if (cidr_read(text, net, e) != 0)
        return -1;
    v4 = net->bits >= MAPPED_BITS && memcmp(net->address, mapped, sizeof mapped) == 0;
    if (net->bits < (v4 ? WIDEST_V4 : WIDEST_V6))
        return err_set(e, ERR_INPUT, "a network so wide would shut out half the internet; the widest is /%d",
                       v4 ? WIDEST_V4 - MAPPED_BITS : WIDEST_V6);
    if (is_ours(net))
        return err_set(e, ERR_INPUT,
                       "an address of this machine itself; ban the visitor's own address, which a proxy on "
                       "this machine passes on once it stands in trusted_proxies");
    return 0;
}

/* ---- JSON ---- */

static int read_one(struct bans *b, const json_t *one, int64_t now, struct err *e)
{
    const char *address;
    int64_t since, until, hits;
    struct cidr net;

    if (json_get_text(one, "address", BANS_ADDRESS_BYTES, &address, e) != 0 ||
        json_get_time(one, "since", &since, e) != 0 || json_get_time(one, "until", &until, e) != 0 ||
        json_get_int(one, "hits", 0, INT64_MAX, &hits, e) != 0)
        return -1;
    if (bans_read_net(str_of(address), &net, e) != 0)
        return err_wrap(e, "%s", address);
    if (until <= now)
        return 0;
    if (bans_put(b, &net, since, until, e) != 0)
        return -1;
    atomic_store(&bans_find(b, &net)->hits, (unsigned long long)hits);
    return 0;
}

int bans_from_json(struct bans *b, const json_t *doc, const char *key, int64_t now, struct err *e)
{
    const json_t *list;

    if (json_get_list(doc, key, BANS_MAX, &list, e) != 0)
        return -1;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (read_one(b, json_array_get(list, i), now, e) != 0)
            return err_wrap(e, "%s, number %zu", key, i + 1);
    return 0;
}

json_t *bans_done(const struct bans *b, const struct cidr *net, const char *done)
{
    const struct ban *ban = bans_find(b, net);
    json_t *answer = ban ? ban_json(ban) : json_object();
    struct buf text = { 0 };

    cidr_print(&text, net);
    json_object_set_new(answer, done, json_string(buf_text(&text)));
    buf_free(&text);
    return answer;
}

json_t *bans_to_json(const struct bans *b)
{
    json_t *list = json_array();

    for (size_t i = 0; i < b->n; i++)
        json_array_append_new(list, ban_json(b->list[i]));
    return list;
}

void bans_read_file(const char *path, size_t max_bytes, bans_lists_cb read_lists, void *user)
{
    struct buf text = { 0 };
    struct err why = { 0 };
    json_t *doc;

    if (access(path, F_OK) != 0 && errno == ENOENT)
        return;
    doc = file_read(path, max_bytes, &text, &why) == 0 ? json_read(buf_bytes(&text), text.len, &why) : NULL;
    if (!doc || read_lists(user, doc, &why) != 0)
        log_error("who was banned is lost, at least in part; ban them again with tunnelctl ban",
                  kv_str("path", path), kv_str("error", why.text));
    json_decref(doc);
    buf_free(&text);
}

/* ---- what is asked ---- */

int bans_read_request(const json_t *request, int64_t most_s, struct cidr *net, int64_t *for_s, struct err *e)
{
    static const char *const names[] = { "address", "for_s", NULL };
    const char *address;

    *for_s = BANS_FOR_S;
    if (!request)
        return err_set(e, ERR_INPUT, "the request has no content; give {\"address\": \"192.0.2.7\"}");
    if (json_only(request, names, e) != 0 ||
        json_get_text(request, "address", BANS_ADDRESS_BYTES - 1, &address, e) != 0)
        return -1;
    if (json_object_get(request, "for_s") && json_get_int(request, "for_s", 1, most_s, for_s, NULL) != 0)
        return err_set(e, ERR_INPUT,
                       "for_s: a ban holds here for %" PRId64 "d at most, that is a whole number from 1 to "
                       "%" PRId64 " seconds",
                       most_s / 86400, most_s);
    return bans_read_net(str_of(address), net, e) == 0 ? 0 : err_wrap(e, "%s", address);
}

int bans_read_path(struct str segment, struct cidr *net, struct err *e)
{
    static const struct {
        const char *code;
        char is;
    } codes[] = { { "%2F", '/' }, { "%2f", '/' }, { "%3A", ':' }, { "%3a", ':' } };
    char text[BANS_ADDRESS_BYTES];
    size_t n = 0, i = 0;

    for (; i < segment.n && n + 1 < sizeof text; i++) {
        text[n] = segment.p[i];
        for (size_t j = 0; j < sizeof codes / sizeof *codes; j++)
            if (segment.n - i >= 3 && memcmp(segment.p + i, codes[j].code, 3) == 0)
                text[n] = codes[j].is;
        i += segment.p[i] == '%' && text[n] != '%' ? 2 : 0;
        n++;
    }
    if (i < segment.n) /* what was cut off might be another one */
        return err_set(e, ERR_INPUT, "longer than any address is (such as 192.0.2.7 or 2001:db8::%%2F32)");
    text[n] = 0;
    return cidr_read((struct str){ text, n }, net, e);
}
