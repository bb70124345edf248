/* Plays every row of tests/conformance/http2.rows to the server's side of HTTP/2: as a whole, byte by byte, and in pieces
 * of seven. The file says what its lines mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/edge/h2_session.h"
#include "shared/mem.h"
#include "tests/unit/relay/edge/h2_rows.h"

enum { MAX_HEADER = 8192, MAX_ROWS = 512, MAX_LINES = 16, PROBE_AT_MOST = 0x7fffffff };

#define FILE_NAME "tests/conformance/http2.rows"

struct row {
    const char *name;
    char *lines[MAX_LINES]; /* without those that only say where the row comes from */
    size_t n;
    bool bare;
};

struct rows {
    char *text;
    struct row row[MAX_ROWS];
    size_t n, let_n;
};

static struct rows rows;

/* ---- names ---- */

static int find_name(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

#define FIND_NAME(names, name) find_name(names, sizeof(names) / sizeof(names)[0], name)

static int kind_of(const char *word)
{
    static const char *const names[] = { "DATA",          "HEADERS",      "PRIORITY", "RST_STREAM",
                                         "SETTINGS",      "PUSH_PROMISE", "PING",     "GOAWAY",
                                         "WINDOW_UPDATE", "CONTINUATION" };
    int kind = FIND_NAME(names, word);

    return kind >= 0 ? kind : atoi(word);
}

static int code_of(const char *word)
{
    static const char *const names[] = { "NO_ERROR",           "PROTOCOL_ERROR",   "INTERNAL_ERROR",
                                         "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
                                         "FRAME_SIZE_ERROR",   "REFUSED_STREAM",   "CANCEL",
                                         "COMPRESSION_ERROR" };
    int code = FIND_NAME(names, word);

    if (code < 0)
        fail_msg("%s is no error", word);
    return code;
}

static unsigned flags_of(char *list)
{
    static const char *const names[] = { "es", "eh", "pad", "pri", "ack" };
    static const unsigned values[] = { 1, 4, 8, 32, 1 };
    unsigned flags = 0;

    for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) {
        int at = FIND_NAME(names, word);

        flags |= at >= 0 ? values[at] : word[0] == 'x' ? (unsigned)hex(word + 1) : 0;
    }
    return flags;
}

/* ---- the other side ---- */

struct frame {
    int kind;
    unsigned flags;
    uint32_t stream;
    struct buf payload;
};

struct play {
    const struct row *row;
    struct h2_session *s;
    size_t piece; /* 0: as much at once as a row lets us */
    struct buf to_send, out;
    struct frame said[1024];
    size_t said_n, looked_at;
    uint32_t next_stream, highest;
    unsigned seen;
    bool over;
};

/* What a stream's user points to: how its request is served. */
static char takes_body, takes_head, holds_body, is_answered;

static bool has_field(const struct h1_head *head, const char *name)
{
    for (uint32_t i = 0; i < head->field_count; i++)
        if (str_eq(h1_text(head, head->fields[i].name), name))
            return true;
    return false;
}

static void *how_to_serve(const struct h1_head *head)
{
    if (has_field(head, "x-hold"))
        return &holds_body;
    return str_eq(h1_text(head, head->method), "HEAD") ? &takes_head : &takes_body;
}

static void begin(struct play *p, struct h2_stream *st)
{
    static const struct h1_limits limits = { .max_uri = 4096, .max_header = 2 * MAX_HEADER };
    struct buf text = { 0 };
    struct h1_head head;
    enum h2_head read = h2_stream_read_head(st, "AAAAAAAAAAAAAAAAAAAAAA==", &limits, &text, &head);

    st->user = read == H2_HEAD_READ ? how_to_serve(&head) : &is_answered;
    if (read == H2_HEAD_READ)
        p->seen++;
    else
        h2_stream_discard(st);
    if (read == H2_HEAD_REFUSED)
        h2_stream_answer(st, STR("HTTP/1.1 400 Bad Request\r\n\r\n"));
    buf_free(&text);
}

static void take_body(struct h2_stream *st)
{
    struct str whole = STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");

    do {
        buf_take(&st->in, st->in.len);
        h2_stream_used(st);
    } while (h2_stream_fill(st));
    if (!st->remote_ended)
        return;
    if (st->user == &takes_head)
        whole.n -= sizeof "hello" - 1;
    st->user = &is_answered;
    h2_stream_answer(st, whole);
}

/* Answers every request that is whole. */
static void serve(struct play *p)
{
    struct h2_stream *st;

    while ((st = h2_session_next(p->s))) {
        if (st->closed) {
            h2_stream_free(st);
            continue;
        }
        if (st->head_whole && !st->user)
            begin(p, st);
        if (st->user == &takes_body || st->user == &takes_head)
            take_body(st);
        h2_stream_flush(st);
    }
}

static uint32_t number_at(const struct buf *b, size_t at)
{
    const unsigned char *p = (const unsigned char *)buf_bytes(b) + at;

    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Makes frames of what it has said. */
static void listen(struct play *p)
{
    while (p->out.len >= 9) {
        const unsigned char *head = (const unsigned char *)buf_bytes(&p->out);
        size_t length = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        struct frame *f = &p->said[p->said_n];

        assert_true(p->out.len >= 9 + length && p->said_n < sizeof p->said / sizeof p->said[0]);
        p->said_n++;
        *f = (struct frame){ .kind = head[3], .flags = head[4], .stream = number_at(&p->out, 5) };
        buf_add(&f->payload, head + 9, length);
        buf_take(&p->out, 9 + length);
    }
}

static void feed(struct play *p, const char *bytes, size_t n)
{
    const char *why;

    if (p->over)
        return;
    p->over = h2_session_feed(p->s, bytes, n, 0, &why) != 0;
    serve(p);
    h2_session_send(p->s, &p->out, SIZE_MAX);
    serve(p);
    h2_session_send(p->s, &p->out, SIZE_MAX);
    p->over = p->over || h2_session_is_over(p->s);
    listen(p);
}

static void send_all(struct play *p)
{
    size_t n = p->to_send.len, piece = p->piece && n < 65536 ? p->piece : n;

    for (size_t at = 0; at < n; at += piece)
        feed(p, buf_bytes(&p->to_send) + at, n - at < piece ? n - at : piece);
    buf_free(&p->to_send);
}

/* ---- what a row says ---- */

static uint32_t stream_of(struct play *p, const char *word)
{
    bool reserved = word[0] == 'R';
    uint32_t id = (uint32_t)strtoul(word + reserved, NULL, 10);

    if (word[0] == '+') {
        id = p->next_stream;
        p->next_stream += 2;
    }
    p->highest = id > p->highest ? id : p->highest;
    return id | (reserved ? 0x80000000U : 0);
}

static void add_frame(struct play *p, int kind, unsigned flags, uint32_t stream, const struct buf *payload)
{
    const unsigned char head[9] = { (unsigned char)(payload->len >> 16),
                                    (unsigned char)(payload->len >> 8),
                                    (unsigned char)payload->len,
                                    (unsigned char)kind,
                                    (unsigned char)flags,
                                    (unsigned char)(stream >> 24),
                                    (unsigned char)(stream >> 16),
                                    (unsigned char)(stream >> 8),
                                    (unsigned char)stream };

    buf_add(&p->to_send, head, sizeof head);
    buf_add(&p->to_send, buf_bytes(payload), payload->len);
}

static void say(struct play *p, char *rest)
{
    const char *kind = next_word(&rest);
    unsigned flags = flags_of(next_word(&rest));
    uint32_t stream = stream_of(p, next_word(&rest));
    struct buf payload = { 0 };

    add_pieces(&payload, rest);
    add_frame(p, kind_of(kind), flags, stream, &payload);
    buf_free(&payload);
}

static void say_often(struct play *p, const char *verb, const char *rest)
{
    long times = verb[4] == '*' ? atol(verb + 5) : 1;

    for (; times > 0; times--) {
        char *copy = strdup(rest);

        say(p, copy);
        free(copy);
    }
}

static const struct frame *find_frame(const struct play *p, int kind, uint32_t stream)
{
    for (size_t i = 0; i < p->said_n; i++)
        if (p->said[i].kind == kind && p->said[i].stream == stream)
            return &p->said[i];
    return NULL;
}

static bool has_ended(const struct play *p, uint32_t stream)
{
    for (size_t i = 0; i < p->said_n; i++)
        if (p->said[i].stream == stream && p->said[i].kind <= 1 && (p->said[i].flags & 1))
            return true;
    return false;
}

/* Of the frames not yet looked at. */
static bool has_said(struct play *p, int kind, unsigned flags, uint32_t stream, size_t length,
                     const struct buf *payload)
{
    while (p->looked_at < p->said_n) {
        const struct frame *f = &p->said[p->looked_at++];

        if (f->kind != kind || f->stream != stream || f->flags != flags)
            continue;
        if (payload && payload->len > 0 &&
            (f->payload.len != payload->len ||
             memcmp(buf_bytes(&f->payload), buf_bytes(payload), payload->len) != 0))
            continue;
        if (length == SIZE_MAX || f->payload.len == length)
            return true;
    }
    return false;
}

static bool has_frame(struct play *p, char *rest)
{
    const char *kind = next_word(&rest);
    unsigned flags = flags_of(next_word(&rest));
    uint32_t stream = (uint32_t)strtoul(next_word(&rest), NULL, 10);
    struct buf payload = { 0 };
    bool found;

    add_pieces(&payload, rest);
    found = has_said(p, kind_of(kind), flags, stream, SIZE_MAX, &payload);
    buf_free(&payload);
    return found;
}

/* RST_STREAM has its code first, GOAWAY behind the last stream. */
static bool has_error(const struct play *p, int kind, uint32_t stream, const char *code)
{
    const struct frame *f = find_frame(p, kind, stream);

    return f && number_at(&f->payload, kind == 7 ? 4 : 0) == (uint32_t)code_of(code);
}

/* 200 has an index of its own; before it the table may change its size. */
static bool has_status(const struct play *p, uint32_t stream, const char *status)
{
    const struct frame *f = find_frame(p, 1, stream);
    const char *block = f ? buf_bytes(&f->payload) : "";

    assert_string_equal(status, "200");
    return f && block[(block[0] & 0xe0) == 0x20] == '\x88';
}

static bool has_happened(struct play *p, char *rest)
{
    const char *what = next_word(&rest), *first = next_word(&rest);
    uint32_t stream = first ? (uint32_t)strtoul(first, NULL, 10) : 0;

    if (strcmp(what, "connection") == 0)
        return p->over && has_error(p, 7, 0, first);
    if (strcmp(what, "closed") == 0)
        return p->over;
    if (strcmp(what, "stream") == 0)
        return has_error(p, 3, stream, next_word(&rest));
    if (strcmp(what, "end") == 0)
        return has_ended(p, stream);
    if (strcmp(what, "status") == 0)
        return has_status(p, stream, next_word(&rest));
    if (strcmp(what, "data") == 0)
        return has_said(p, 0, 0, stream, (size_t)atol(next_word(&rest)), NULL);
    fail_msg("%s is nothing that can happen", what);
    return false;
}

/* The words of a frame are looked at from its kind on. */
static void check(struct play *p, const char *thing)
{
    char *copy = strdup(thing), *rest = copy;
    bool happened;

    if (strncmp(copy, "frame ", 6) == 0) {
        rest += 6;
        happened = has_frame(p, rest);
    } else {
        happened = has_happened(p, rest);
    }
    free(copy);
    if (happened)
        return;
    for (size_t i = 0; i < p->said_n; i++)
        print_error("  it said: kind %d flags %x stream %u, %zu bytes %.40s\n", p->said[i].kind,
                    p->said[i].flags, p->said[i].stream, p->said[i].payload.len,
                    p->said[i].kind == 7 ? buf_text(&p->said[i].payload) + 8 : "");
    for (size_t i = 0; i < p->said_n; i++)
        if (p->said[i].kind == 7 || p->said[i].kind == 3)
            print_error("  error %u\n", number_at(&p->said[i].payload, p->said[i].kind == 7 ? 4 : 0));
    fail_msg("%s (pieces of %zu): no '%s'%s", p->row->name, p->piece, thing, p->over ? "; it is over" : "");
}

/* ---- a row from its start to its end ---- */

static void greet(struct play *p)
{
    const struct buf nothing = { 0 };

    buf_add_text(&p->to_send, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    add_frame(p, 4, 0, 0, &nothing);
    add_frame(p, 4, 1, 0, &nothing);
    send_all(p);
    assert_true(find_frame(p, 4, 0) == &p->said[0]);
    p->looked_at = p->said_n;
}

/* Whatever was wrong with the others, another request is answered. */
static void probe(struct play *p)
{
    uint32_t id = p->highest | 1;
    struct buf head = { 0 };

    if (id >= PROBE_AT_MOST)
        return;
    id += p->highest & 1 ? 2 : 0;
    add_pieces(&head, "@get");
    add_frame(p, 1, 5, id, &head);
    send_all(p);
    buf_free(&head);
    if (p->over || !has_status(p, id, "200"))
        fail_msg("%s (pieces of %zu): the next request is not answered", p->row->name, p->piece);
    p->seen--;
}

struct wants {
    const char *seen;
    bool errors, ends, resets;
};

static void play_line(struct play *p, const char *line, struct wants *wants)
{
    size_t n = strcspn(line, " ");
    const char *rest = line[n] ? line + n + 1 : line + n;

    if (strncmp(line, "send", 4) == 0) {
        say_often(p, line, rest);
    } else if (strncmp(line, "raw ", 4) == 0) {
        add_pieces(&p->to_send, rest);
    } else if (strncmp(line, "seen ", 5) == 0) {
        wants->seen = rest;
    } else {
        send_all(p);
        check(p, rest);
        wants->ends = wants->ends || strncmp(rest, "connection", 10) == 0 || strcmp(rest, "closed") == 0;
        wants->resets = wants->resets || strncmp(rest, "stream", 6) == 0;
    }
}

/* RFC 9113 5.4: the first error of a stream is the only one. */
static void check_once(const struct play *p)
{
    for (size_t i = 0; i < p->said_n; i++)
        if (p->said[i].kind == 3 && find_frame(p, 3, p->said[i].stream) != &p->said[i])
            fail_msg("%s (pieces of %zu): stream %u is reset twice", p->row->name, p->piece,
                     p->said[i].stream);
}

static void check_rest(struct play *p, const struct wants *wants)
{
    check_once(p);
    for (size_t i = 0; i < p->said_n && !wants->ends; i++)
        if (p->said[i].kind == 7)
            fail_msg("%s (pieces of %zu): GOAWAY with %u", p->row->name, p->piece,
                     number_at(&p->said[i].payload, 4));
    for (size_t i = 0; i < p->said_n && !wants->ends && !wants->resets; i++)
        if (p->said[i].kind == 3)
            fail_msg("%s (pieces of %zu): RST_STREAM", p->row->name, p->piece);
    if (!wants->ends)
        probe(p);
    if (wants->seen ? strcmp(wants->seen, "any") != 0 && p->seen != (unsigned)atoi(wants->seen)
                    : (wants->ends || wants->resets) && p->seen > 0)
        fail_msg("%s (pieces of %zu): %u requests reach the site", p->row->name, p->piece, p->seen);
}

static void play(const struct row *row, size_t piece)
{
    struct play *p = mem_new(sizeof *p);
    struct wants wants = { 0 };

    *p = (struct play){ .row = row, .piece = piece, .next_stream = 1 };
    p->s = h2_session_new(MAX_HEADER, 0);
    h2_session_send(p->s, &p->out, SIZE_MAX);
    if (!row->bare)
        greet(p);
    for (size_t i = 0; i < row->n; i++)
        play_line(p, row->lines[i], &wants);
    send_all(p);
    check_rest(p, &wants);
    for (size_t i = 0; i < p->said_n; i++)
        buf_free(&p->said[i].payload);
    h2_session_free(p->s);
    buf_free(&p->out);
    free(p);
}

static void test_row(void **state)
{
    const struct row *row = *state;

    play(row, 0);
    play(row, 1);
    play(row, 7);
}

/* ---- the file ---- */

static char *read_rows(void)
{
    FILE *f = fopen(FILE_NAME, "re");
    char *text = calloc(1, 1 << 20);
    size_t n;

    if (!f || !text) {
        perror(FILE_NAME);
        exit(1);
    }
    n = fread(text, 1, (1 << 20) - 1, f);
    text[n] = 0;
    fclose(f);
    return text;
}

/* What it is played by; the rest says where it comes from. */
static void take_line(char *line)
{
    struct row *row = rows.n > 0 ? &rows.row[rows.n - 1] : NULL;

    if (strncmp(line, "let ", 4) == 0) {
        assert_true(rows.let_n < MAX_LETS);
        lets[rows.let_n++] = line + 4;
    } else if (strncmp(line, "row ", 4) == 0) {
        assert_true(rows.n < MAX_ROWS);
        rows.row[rows.n++].name = line + 4;
    } else if (line[0] == '#') {
        return;
    } else if (!row) {
        fail_msg("%s: '%s' belongs to no row", FILE_NAME, line);
    } else if (strcmp(line, "bare") == 0) {
        row->bare = true;
    } else if (strncmp(line, "send", 4) == 0 || strncmp(line, "raw ", 4) == 0 ||
               strncmp(line, "await ", 6) == 0 || strncmp(line, "want ", 5) == 0 ||
               strncmp(line, "seen ", 5) == 0) {
        assert_true(row->n < MAX_LINES);
        row->lines[row->n++] = line;
    } else if (strncmp(line, "rfc ", 4) != 0 && strncmp(line, "suite ", 6) != 0 &&
               strncmp(line, "allow ", 6) != 0) {
        fail_msg("%s: '%s' means nothing", FILE_NAME, line);
    }
}

int main(void)
{
    static struct CMUnitTest tests[MAX_ROWS];
    int failed;

    rows.text = read_rows();
    for (char *line = strtok(rows.text, "\n"); line; line = strtok(NULL, "\n"))
        take_line(line);
    for (size_t i = 0; i < rows.n; i++)
        tests[i] = (struct CMUnitTest){ .name = rows.row[i].name,
                                        .test_func = test_row,
                                        .initial_state = &rows.row[i] };
    failed = _cmocka_run_group_tests(FILE_NAME, tests, rows.n, NULL, NULL);
    free(rows.text);
    return failed;
}
