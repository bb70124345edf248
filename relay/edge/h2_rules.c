#include "relay/edge/h2_rules.h"

#include <nghttp2/nghttp2.h>
#include <string.h>

enum { PRIORITY_BYTES = 5, SETTING_BYTES = 6, MAX_WINDOW = 0x7fffffff, MAX_FRAME_SETTING = 0xffffff };

static uint32_t number_at(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void h2_rules_init(struct h2_rules *r)
{
    *r = (struct h2_rules){ .left = H2_PREFACE };
}

/* ---- a frame's header: RFC 9113 4.2, 4.3 and 6 ---- */

enum belongs { TO_EITHER, TO_STREAM, TO_CONNECTION };

static const struct {
    enum belongs belongs;
    uint32_t least, most;
} kinds[] = {
    [NGHTTP2_DATA] = { TO_STREAM, 0, H2_MAX_FRAME },
    [NGHTTP2_HEADERS] = { TO_STREAM, 0, H2_MAX_FRAME },
    [NGHTTP2_PRIORITY] = { TO_STREAM, PRIORITY_BYTES, PRIORITY_BYTES },
    [NGHTTP2_RST_STREAM] = { TO_STREAM, 4, 4 },
    [NGHTTP2_SETTINGS] = { TO_CONNECTION, 0, H2_MAX_FRAME },
    [NGHTTP2_PUSH_PROMISE] = { TO_STREAM, 4, H2_MAX_FRAME },
    [NGHTTP2_PING] = { TO_CONNECTION, 8, 8 },
    [NGHTTP2_GOAWAY] = { TO_CONNECTION, 8, H2_MAX_FRAME },
    [NGHTTP2_WINDOW_UPDATE] = { TO_EITHER, 4, 4 },
    [NGHTTP2_CONTINUATION] = { TO_STREAM, 0, H2_MAX_FRAME },
};

static bool has_right_length(const struct h2_rules *r)
{
    uint32_t least = kinds[r->kind].least;

    if (r->kind == NGHTTP2_SETTINGS)
        return r->flags & NGHTTP2_FLAG_ACK ? r->length == 0 : r->length % SETTING_BYTES == 0;
    if ((r->kind == NGHTTP2_DATA || r->kind == NGHTTP2_HEADERS) && (r->flags & NGHTTP2_FLAG_PADDED))
        least++;
    if (r->kind == NGHTTP2_HEADERS && (r->flags & NGHTTP2_FLAG_PRIORITY))
        least += PRIORITY_BYTES;
    return r->length >= least && r->length <= kinds[r->kind].most;
}

/* A field block is one thing: nothing else may come before its end, and nothing may go on with one that is whole. */
static bool interrupts(const struct h2_rules *r)
{
    if (r->kind == NGHTTP2_CONTINUATION)
        return r->stream != r->block_stream;
    return r->block_stream != 0;
}

static uint32_t check_head(const struct h2_rules *r)
{
    if (r->length > H2_MAX_FRAME)
        return NGHTTP2_FRAME_SIZE_ERROR;
    if (interrupts(r))
        return NGHTTP2_PROTOCOL_ERROR;
    if (r->kind >= sizeof kinds / sizeof kinds[0])
        return NGHTTP2_NO_ERROR; /* RFC 9113 5.5: ignored */
    if (kinds[r->kind].belongs != TO_EITHER && (kinds[r->kind].belongs == TO_STREAM) != (r->stream != 0))
        return NGHTTP2_PROTOCOL_ERROR;
    if (r->kind == NGHTTP2_PUSH_PROMISE)
        return NGHTTP2_PROTOCOL_ERROR; /* RFC 9113 8.4: no client may */
    return has_right_length(r) ? NGHTTP2_NO_ERROR : NGHTTP2_FRAME_SIZE_ERROR;
}

static uint32_t begin_frame(struct h2_rules *r, const uint8_t *head)
{
    uint32_t code;

    r->length = number_at(head) >> 8;
    r->kind = head[3];
    r->flags = head[4];
    r->stream = number_at(head + 5) & 0x7fffffff;
    r->left = r->length;
    r->begins = true;
    r->adds_nothing = false;
    r->look_n = 0;
    r->most_window = 0;
    code = check_head(r);
    if (r->kind == NGHTTP2_HEADERS || r->kind == NGHTTP2_CONTINUATION)
        r->block_stream = r->flags & NGHTTP2_FLAG_END_HEADERS ? 0 : r->stream;
    return code;
}

/* ---- what a frame says of the connection or of streams ---- */

/* RFC 9113 6.5.3: each in its turn, also one that is followed by another value. */
static uint32_t check_setting(struct h2_rules *r)
{
    uint32_t id = (uint32_t)r->look[0] << 8 | r->look[1], value = number_at(r->look + 2);

    switch (id) {
    case NGHTTP2_SETTINGS_ENABLE_PUSH:
    case NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL:
    case NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES: return value > 1 ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_NO_ERROR;
    case NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE:
        r->most_window = value > r->most_window ? value : r->most_window;
        return value > MAX_WINDOW ? NGHTTP2_FLOW_CONTROL_ERROR : NGHTTP2_NO_ERROR;
    case NGHTTP2_SETTINGS_MAX_FRAME_SIZE:
        return value < H2_MAX_FRAME || value > MAX_FRAME_SETTING ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_NO_ERROR;
    default: return NGHTTP2_NO_ERROR;
    }
}

static uint32_t look_at_settings(struct h2_rules *r, const char *bytes, size_t n)
{
    uint32_t code = NGHTTP2_NO_ERROR;

    for (size_t i = 0; i < n && code == NGHTTP2_NO_ERROR; i++) {
        r->look[r->look_n++] = (uint8_t)bytes[i];
        if (r->look_n < SETTING_BYTES)
            continue;
        r->look_n = 0;
        code = check_setting(r);
    }
    return code;
}

/* A priority: RFC 7540 5.3.1. RFC 9113 leaves priorities out, and nghttp2 then does not look at them. */
static uint32_t look_at_short(struct h2_rules *r, const uint8_t *payload)
{
    uint32_t number = number_at(payload) & 0x7fffffff;

    if (r->kind == NGHTTP2_PRIORITY)
        return number == r->stream ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_NO_ERROR;
    r->adds_nothing = number == 0;
    return NGHTTP2_NO_ERROR;
}

/* ---- pieces ---- */

static void cut(struct str *rest, size_t n)
{
    rest->p += n;
    rest->n -= n;
}

/* How much of a frame has to be there before any of it goes on; known when its header is. */
static size_t least_piece(const uint8_t *head)
{
    bool is_short = (head[3] == NGHTTP2_PRIORITY || head[3] == NGHTTP2_WINDOW_UPDATE) &&
                    number_at(head) >> 8 <= H2_SHORT_FRAME;

    return H2_FRAME_HEAD + (is_short ? number_at(head) >> 8 : 0);
}

/* Takes from rest until there are n bytes of the frame. */
static bool gather(struct h2_rules *r, struct str *rest, size_t n)
{
    size_t more = r->head_n < n ? n - r->head_n : 0;

    more = rest->n < more ? rest->n : more;
    memcpy(r->head + r->head_n, rest->p, more);
    r->head_n += (uint8_t)more;
    cut(rest, more);
    return r->head_n >= n;
}

static uint32_t take_frame(struct h2_rules *r, const struct str *piece)
{
    const char *payload = piece->p + H2_FRAME_HEAD;
    uint32_t code = begin_frame(r, (const uint8_t *)piece->p);

    r->left -= (uint32_t)(piece->n - H2_FRAME_HEAD);
    if (code != NGHTTP2_NO_ERROR)
        return code;
    if (r->kind == NGHTTP2_SETTINGS)
        return look_at_settings(r, payload, piece->n - H2_FRAME_HEAD);
    return r->kind == NGHTTP2_PRIORITY || r->kind == NGHTTP2_WINDOW_UPDATE
               ? look_at_short(r, (const uint8_t *)payload)
               : NGHTTP2_NO_ERROR;
}

/* What came in pieces goes on as one, so far as it has to be looked at; all else where it lies. */
static uint32_t next_frame(struct h2_rules *r, struct str *rest, struct str *piece)
{
    const uint8_t *head = (const uint8_t *)rest->p;

    if (r->head_n > 0 || rest->n < H2_FRAME_HEAD || rest->n < least_piece(head)) {
        if (!gather(r, rest, H2_FRAME_HEAD) || !gather(r, rest, least_piece(r->head)))
            return NGHTTP2_NO_ERROR;
        *piece = (struct str){ (const char *)r->head, r->head_n };
        r->head_n = 0;
    } else {
        size_t whole = H2_FRAME_HEAD + (size_t)(number_at(head) >> 8);

        *piece = (struct str){ rest->p, rest->n < whole ? rest->n : whole };
        cut(rest, piece->n);
    }
    return take_frame(r, piece);
}

uint32_t h2_rules_next(struct h2_rules *r, struct str *rest, struct str *piece)
{
    size_t n = rest->n < r->left ? rest->n : r->left;

    *piece = (struct str){ rest->p, n };
    r->begins = false;
    if (n == 0)
        return next_frame(r, rest, piece);
    cut(rest, n);
    r->left -= (uint32_t)n;
    return r->kind == NGHTTP2_SETTINGS ? look_at_settings(r, piece->p, n) : NGHTTP2_NO_ERROR;
}

/* ---- streams that are not open: RFC 9113 5.1 ---- */

static bool was_left_out(const struct h2_rules *r)
{
    for (uint32_t i = 0; i < r->gap_n && i < H2_GAPS; i++)
        if (r->stream >= r->gaps[i].from && r->stream <= r->gaps[i].to)
            return true;
    return false;
}

/* By END_STREAM it is the connection's error, after RST_STREAM the stream's, which is told once. */
static uint32_t check_ended(struct h2_rules *r, bool *of_stream)
{
    for (uint32_t i = 0; i < r->ended_n && i < H2_ENDED_STREAMS; i++)
        if (r->ended[i].stream == r->stream) {
            *of_stream = r->ended[i].reset;
            if (*of_stream)
                r->ended[i].stream = 0;
            return NGHTTP2_STREAM_CLOSED;
        }
    return NGHTTP2_NO_ERROR;
}

static void begin_stream(struct h2_rules *r)
{
    uint32_t next = r->last_stream ? r->last_stream + 2 : 1;

    if (r->stream > next) {
        r->gaps[r->gap_n % H2_GAPS].from = next;
        r->gaps[r->gap_n % H2_GAPS].to = r->stream - 2;
        r->gap_n++;
    }
    r->last_stream = r->stream;
}

uint32_t h2_rules_without_stream(struct h2_rules *r, bool *of_stream)
{
    bool begins = r->kind == NGHTTP2_HEADERS;

    *of_stream = false;
    if (!begins && r->kind != NGHTTP2_DATA)
        return NGHTTP2_NO_ERROR;
    if (r->stream % 2 == 0)
        return NGHTTP2_PROTOCOL_ERROR;
    if (r->stream > r->last_stream) {
        if (begins)
            begin_stream(r);
        return begins ? NGHTTP2_NO_ERROR : NGHTTP2_PROTOCOL_ERROR;
    }
    if (was_left_out(r))
        return begins ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_STREAM_CLOSED;
    return check_ended(r, of_stream);
}

void h2_rules_ended(struct h2_rules *r, uint32_t stream, bool reset)
{
    r->ended[r->ended_n % H2_ENDED_STREAMS].stream = stream;
    r->ended[r->ended_n % H2_ENDED_STREAMS].reset = reset;
    r->ended_n++;
}
