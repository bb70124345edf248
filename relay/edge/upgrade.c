#include "relay/edge/upgrade.h"

#include <ctype.h>
#include <string.h>

/* token, or token "/" token */
static bool is_protocol(struct str word)
{
    for (size_t i = 0; i < word.n; i++)
        if (!isalnum((unsigned char)word.p[i]) && !strchr("!#$%&'*+-.^_`|~/", word.p[i]))
            return false;
    return true;
}

/* Requests could follow in it that nobody here sees. TLS is RFC 2817's, with HTTP inside. */
static bool is_http(struct str protocol)
{
    static const char *const names[] = { "h2", "h2c", "http", "tls" };
    const char *slash = memchr(protocol.p, '/', protocol.n);
    struct str name = { protocol.p, slash ? (size_t)(slash - protocol.p) : protocol.n };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_eq_nocase(name, names[i]))
            return true;
    return false;
}

/* The next protocol that may pass. */
static bool next_protocol(struct str *rest, struct str *protocol)
{
    while (str_next_word(rest, ",", protocol))
        if (is_protocol(*protocol) && !is_http(*protocol))
            return true;
    return false;
}

static void add_protocols(struct buf *out, struct str list)
{
    struct str protocol;

    for (const char *between = ""; next_protocol(&list, &protocol); between = ", ") {
        buf_add_text(out, between);
        buf_add(out, protocol.p, protocol.n);
    }
}

void upgrade_add_offer(struct buf *out, const struct h1_head *request)
{
    if (request->framing != H1_CHUNKED)
        add_protocols(out, h1_text(request, request->upgrade));
}

static bool is_same(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (tolower((unsigned char)a.p[i]) != tolower((unsigned char)b.p[i]))
            return false;
    return true;
}

static bool is_offered(struct str protocol, struct str offer)
{
    struct str offered;

    while (next_protocol(&offer, &offered))
        if (is_same(protocol, offered))
            return true;
    return false;
}

bool upgrade_is_granted(const struct h1_head *response, struct str offer)
{
    struct str rest = h1_text(response, response->upgrade), protocol;
    size_t granted = 0;

    for (; str_next_word(&rest, ",", &protocol); granted++)
        if (!is_offered(protocol, offer))
            return false;
    return response->status == 101 && granted > 0;
}

/* The value of Upgrade in a 426 may stand there without being named in Connection. */
void upgrade_add_answer(struct buf *out, const struct h1_head *response)
{
    int i = h1_field_find(response, "upgrade", 0);

    if (i >= 0 && (response->status == 101 || response->status == 426))
        add_protocols(out, h1_text(response, response->fields[i].value));
}
