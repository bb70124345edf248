/* What a person reads first: what is up, what is not, since when, and why. */
#include "shared/ctl/ctl.h"
#include "shared/ctl/screen.h"
#include "shared/ctl/status_room.h"
#include "shared/ctl/table.h"
#include "shared/ctl/watch.h"
#include "shared/port_holder.h"
#include "shared/status/cert_state.h"
#include "shared/status/dns_state.h"
#include "shared/status/listeners_state.h"
#include "shared/status/problems.h"
#include "shared/status/well.h"
#include "shared/status/when.h"
#include "shared/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { WATCH_MS = 2000 };

static const char *bold(const struct ctl *c)
{
    return c->colour ? "\033[1m" : "";
}

static const char *plain(const struct ctl *c)
{
    return c->colour ? "\033[0m" : "";
}

/* ---- cells ---- */

struct cell {
    char text[48];
};

static const char *number_cell(const json_t *object, const char *key, const char *unit, struct cell *cell)
{
    const json_t *value = json_object_get(object, key);

    if (json_is_integer(value))
        snprintf(cell->text, sizeof cell->text, "%" JSON_INTEGER_FORMAT "%s", json_integer_value(value),
                 unit);
    else
        snprintf(cell->text, sizeof cell->text, "-");
    return cell->text;
}

static const char *bytes_cell(const json_t *object, const char *key, struct cell *cell)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_integer(value))
        return "-";
    status_bytes((double)json_integer_value(value), cell->text, sizeof cell->text);
    return cell->text;
}

static const char *text_cell(const json_t *object, const char *key)
{
    const char *text = ctl_text(object, key);

    return *text ? text : "-";
}

/* How long ago an RFC 3339 time was. */
static const char *since_cell(const json_t *object, const char *key, struct cell *cell)
{
    struct tm utc = { 0 };

    if (strptime(ctl_text(object, key), "%Y-%m-%dT%H:%M:%SZ", &utc)) {
        int64_t seconds = (int64_t)(time(NULL) - timegm(&utc));

        status_duration(seconds < 0 ? 0 : seconds, cell->text, sizeof cell->text);
    } else {
        snprintf(cell->text, sizeof cell->text, "-");
    }
    return cell->text;
}

/* In as many lines as its rows may have, and those that nobody needs, though some are wider than the terminal. What is worst
 * is shown all the same. */
static void fit(struct ctl *c, struct table *table, struct buf *out)
{
    const struct screen screen = screen_of_stdout();
    size_t own, used;

    table_keep(table, c->rows);
    own = 1 + c->rows + (table->left_out > 0); /* with the headings */
    table_print(out, table);
    if (screen.lines == 0)
        return;
    while ((used = screen_lines(&screen, buf_text(out))) > own + c->spare && table->rows > 2) {
        table_keep(table, table->rows - 2);
        buf_free(out);
        table_print(out, table);
    }
    used = used > own ? used - own : 0;
    c->spare -= used < c->spare ? used : c->spare;
}

static void print_table(struct ctl *c, const char *title, struct table *table)
{
    bool none = table->rows == 1;
    struct buf out = { 0 };

    if (!none)
        fit(c, table, &out);
    printf("\n%s%s%s%s\n%s", bold(c), title, plain(c), none ? "  none" : "", buf_text(&out));
    buf_free(&out);
    table_free(table);
}

/* ---- lanes ---- */

static void lane_row(struct table *table, const char *name, const json_t *lane)
{
    struct cell number, since, rtt, streams, in, out;
    const char *const cells[] = { name,
                                  number_cell(lane, "lane", "", &number),
                                  text_cell(lane, "state"),
                                  since_cell(lane, "since", &since),
                                  number_cell(lane, "rtt_ms", " ms", &rtt),
                                  number_cell(lane, "streams", "", &streams),
                                  bytes_cell(lane, "bytes_in", &in),
                                  bytes_cell(lane, "bytes_out", &out) };

    table_row(table, cells);
}

/* The worst first: what is not well, then the rest, each as the daemon has it. */
enum { BAD, GOOD, PASSES };

static bool show_relay_lanes(struct ctl *c, const json_t *status)
{
    static const char *const headings[] = {
        "AGENT", "LANE", "STATE", "SINCE", "RTT", "STREAMS", "IN", "OUT"
    };
    const json_t *lane;
    struct table table;
    bool well = true;
    size_t i;

    table_init(&table, 8, headings);
    for (int pass = BAD; pass < PASSES; pass++)
        json_array_foreach(json_object_get(status, "lanes"), i, lane)
        {
            if (well_lane(lane) == (pass == GOOD))
                lane_row(&table, text_cell(lane, "agent"), lane);
            well = well && well_lane(lane);
        }
    print_table(c, "lanes", &table);
    return well;
}

static void print_forward(const json_t *relay)
{
    struct buf line = { 0 }, shown = { 0 };
    struct cell port;

    if (!well_is_plain(relay))
        return;
    buf_printf(&line, "%s: %s port %s there goes to %s, %s", ctl_text(relay, "name"),
               ctl_text(relay, "remote_address"), number_cell(relay, "remote_port", "", &port),
               ctl_text(relay, "service"), ctl_text(relay, "service_state"));
    value_show(&shown, (struct str){ buf_bytes(&line), line.len }, 0);
    printf("  %s\n", buf_text(&shown));
    buf_free(&line);
    buf_free(&shown);
}

static bool show_agent_lanes(struct ctl *c, const json_t *status)
{
    static const char *const headings[] = {
        "RELAY", "LANE", "STATE", "SINCE", "RTT", "STREAMS", "IN", "OUT"
    };
    const json_t *relays = json_object_get(status, "relays"), *relay, *lane;
    struct table table;
    bool well = true;
    size_t i, j;

    table_init(&table, 8, headings);
    for (int pass = BAD; pass < PASSES; pass++)
        json_array_foreach(relays, i, relay) json_array_foreach(json_object_get(relay, "lanes"), j, lane)
        {
            if (well_lane(lane) == (pass == GOOD))
                lane_row(&table, text_cell(relay, "name"), lane);
            well = well && well_lane(lane);
        }
    print_table(c, "relays", &table);
    json_array_foreach(relays, i, relay)
    {
        print_forward(relay);
        well = well && well_forward(relay);
    }
    return well;
}

/* ---- domains ---- */

/* Who serves it: its agents, or its upstream. Valid until `names` is used again. */
static const char *served_by(const json_t *domain, struct buf *names)
{
    const json_t *agent;
    size_t i;

    buf_free(names);
    json_array_foreach(json_object_get(domain, "agents"), i, agent)
        buf_printf(names, "%s%s", i > 0 ? " " : "", json_string_value(agent));
    if (names->len == 0)
        buf_printf(names, "%s", *ctl_text(domain, "upstream") ? ctl_text(domain, "upstream") : "-");
    buf_add(names, "", 1);
    return buf_bytes(names);
}

static void relay_domain_row(struct table *table, const json_t *domain, struct buf *names)
{
    const json_t *cert = json_object_get(domain, "cert");
    struct cell requests, errors, text;
    struct when left;

    if (*ctl_text(cert, "not_after"))
        snprintf(text.text, sizeof text.text, "%.12s, %.24s", text_cell(cert, "state"),
                 when_left(ctl_text(cert, "not_after"), &left));
    else
        snprintf(text.text, sizeof text.text, "%.20s", text_cell(cert, "state"));
    table_row(table,
              (const char *const[]){ text_cell(domain, "name"), text_cell(domain, "state"),
                                     served_by(domain, names), number_cell(domain, "requests", "", &requests),
                                     number_cell(domain, "errors", "", &errors),
                                     json_is_object(cert) ? text.text : "-" });
}

static bool show_relay_domains(struct ctl *c, const json_t *status)
{
    static const char *const headings[] = { "DOMAIN", "STATE", "AGENT", "REQUESTS", "ERRORS", "CERTIFICATE" };
    const json_t *domain;
    struct buf names = { 0 };
    struct table table;
    bool well = true;
    size_t i;

    table_init(&table, 6, headings);
    for (int pass = BAD; pass < PASSES; pass++)
        json_array_foreach(json_object_get(status, "domains"), i, domain)
        {
            if (well_domain_at_relay(domain) == (pass == GOOD))
                relay_domain_row(&table, domain, &names);
            well = well && well_domain_at_relay(domain);
        }
    buf_free(&names);
    print_table(c, "domains", &table);
    return well;
}

/* A site's own service and those of its routes. */
static void service_rows(struct table *table, const json_t *domain)
{
    const json_t *route;
    struct buf name = { 0 };
    struct cert_cell cert;
    size_t i;

    table_row(table, (const char *const[]){ text_cell(domain, "name"), text_cell(domain, "mode"),
                                            text_cell(domain, "service"), text_cell(domain, "service_state"),
                                            dns_state_of(domain), cert_state_of(domain, &cert) });
    json_array_foreach(json_object_get(domain, "routes"), i, route)
    {
        buf_take(&name, name.len);
        buf_printf(&name, "%s%s", ctl_text(domain, "name"), ctl_text(route, "path"));
        table_row(table, (const char *const[]){ buf_text(&name), text_cell(domain, "mode"),
                                                text_cell(route, "service"),
                                                text_cell(route, "service_state"), "", "" });
    }
    buf_free(&name);
}

static bool show_agent_domains(struct ctl *c, const json_t *status)
{
    static const char *const headings[] = { "DOMAIN", "MODE", "SERVICE", "STATE", "DNS", "CERTIFICATE" };
    const json_t *domains = json_object_get(status, "domains"), *domain;
    struct table table;
    bool well = true;
    size_t i;

    table_init(&table, 6, headings);
    for (int pass = BAD; pass < PASSES; pass++)
        json_array_foreach(domains, i, domain)
        {
            if (well_domain_at_home(domain) == (pass == GOOD))
                service_rows(&table, domain);
            well = well && well_domain_at_home(domain);
        }
    print_table(c, "domains", &table);
    return well;
}

/* ---- ports ---- */

/* Nothing is printed where there are none: most have none. */
static bool has_ports(const json_t *status)
{
    return json_array_size(json_object_get(status, "tcp")) > 0;
}

static bool show_relay_ports(struct ctl *c, const json_t *status)
{
    static const char *const headings[] = { "PORT", "LISTEN", "STATE", "AGENT", "CONNECTIONS", "IN", "OUT" };
    const json_t *ports = json_object_get(status, "tcp"), *port;
    struct table table;
    bool well = true;
    size_t i;

    table_init(&table, 7, headings);
    for (int pass = BAD; pass < PASSES; pass++)
        json_array_foreach(ports, i, port)
        {
            struct cell connections, in, out;

            well = well && well_port_at_relay(port);
            if (well_port_at_relay(port) != (pass == GOOD))
                continue;
            table_row(&table, (const char *const[]){ text_cell(port, "name"), text_cell(port, "listen"),
                                                     text_cell(port, "state"), text_cell(port, "agent"),
                                                     number_cell(port, "connections", "", &connections),
                                                     bytes_cell(port, "bytes_in", &in),
                                                     bytes_cell(port, "bytes_out", &out) });
        }
    print_table(c, "ports", &table);
    return well;
}

static bool show_agent_ports(struct ctl *c, const json_t *status)
{
    static const char *const headings[] = { "PORT", "LISTEN", "CLAIM", "SERVICE", "STATE", "CONNECTIONS" };
    const json_t *ports = json_object_get(status, "tcp"), *port;
    struct table table;
    bool well = true;
    size_t i;

    table_init(&table, 6, headings);
    for (int pass = BAD; pass < PASSES; pass++)
        json_array_foreach(ports, i, port)
        {
            struct cell connections;

            well = well && well_port_at_home(port);
            if (well_port_at_home(port) != (pass == GOOD))
                continue;
            table_row(&table, (const char *const[]){ text_cell(port, "name"), text_cell(port, "listen"),
                                                     text_cell(port, "claim"), text_cell(port, "service"),
                                                     text_cell(port, "service_state"),
                                                     number_cell(port, "connections", "", &connections) });
        }
    print_table(c, "ports", &table);
    return well;
}

/* ---- the command ---- */

static bool is_list_of_objects(const json_t *list)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(list, i, entry)
    {
        if (!json_is_object(entry))
            return false;
    }
    return json_is_array(list);
}

/* A newer or an older daemon may leave out what a cell says, but not what the tables are made of. */
static bool is_understood(const json_t *status)
{
    bool is_relay = strcmp(ctl_text(status, "role"), "relay") == 0;
    const json_t *lanes = json_object_get(status, is_relay ? "lanes" : "relays"), *relay;
    size_t i;

    if (!is_relay && strcmp(ctl_text(status, "role"), "agent") != 0)
        return false;
    if (json_object_get(status, "listeners") && !is_list_of_objects(json_object_get(status, "listeners")))
        return false;
    if (!is_list_of_objects(lanes) || !is_list_of_objects(json_object_get(status, "domains")) ||
        (json_object_get(status, "tcp") && !is_list_of_objects(json_object_get(status, "tcp"))))
        return false;
    json_array_foreach(lanes, i, relay)
    {
        if (!is_relay && !is_list_of_objects(json_object_get(relay, "lanes")))
            return false;
    }
    return true;
}

/* Visitors are served all the same. */
static void add_admin_trouble(struct buf *out, const json_t *status)
{
    const char *why = ctl_text(json_object_get(status, "admin"), "last_error");

    if (!*why)
        return;
    buf_add_text(out, "  no admin listener (/metrics) for now: ");
    value_show(out, str_of(why), 0);
    buf_add_text(out, "\n");
}

/* The relay's user may not see whose socket it is; whoever asks may, and mostly is root. */
static void add_holder(struct buf *out, const json_t *listener)
{
    const char *at = ctl_text(listener, "listen");
    struct opt_address addr;
    char holder[64];

    if (*ctl_text(listener, "holder") || value_address(str_of(at), false, &addr, NULL) != 0 ||
        !port_holder(&addr.addr, addr.any, holder, sizeof holder))
        return;
    buf_printf(out, "  %s is held by ", at);
    value_show(out, str_of(holder), 0);
    buf_add_text(out, "\n");
}

static void add_reasons(struct buf *out, const json_t *status)
{
    const json_t *listener;
    size_t i;

    json_array_foreach(json_object_get(status, "listeners"), i, listener)
    {
        if (listeners_state_of_one(listener))
            continue;
        listeners_state_add_reason(out, listener);
        add_holder(out, listener);
    }
}

static void print_notices(struct buf *notices)
{
    if (notices->len > 0)
        printf("\nfrom the relays\n%s", buf_text(notices));
}

static void find_problems(struct buf *lines, const json_t *status)
{
    add_reasons(lines, status);
    problems_add(lines, status);
    add_admin_trouble(lines, status);
}

static void print_problems(const struct ctl *c, struct buf *problems)
{
    if (problems->len > 0)
        printf("\n%swrong%s\n%s", bold(c), plain(c), buf_text(problems));
}

static enum ctl_exit show(struct ctl *c, const json_t *status)
{
    bool is_relay = strcmp(ctl_text(status, "role"), "relay") == 0;
    size_t rows[STATUS_PARTS];
    bool lanes_well, domains_well, ports_well = true;
    struct buf name = { 0 }, version = { 0 }, problems = { 0 }, notices = { 0 };
    char up[32];

    find_problems(&problems, status);
    if (!is_relay)
        cert_state_add_notices(&notices, status);
    c->spare = status_room(status, &problems, &notices, rows);

    status_duration(json_integer_value(json_object_get(status, "uptime_s")), up, sizeof up);
    value_show(&name, str_of(ctl_text(status, "name")), 0);
    value_show(&version, str_of(ctl_text(status, "version")), 0);
    printf("%stunnel-%s  %s%s  version %s  up %s\n", bold(c), is_relay ? "relay" : "agent", buf_text(&name),
           plain(c), buf_text(&version), up);
    buf_free(&name);
    buf_free(&version);
    print_problems(c, &problems);
    buf_free(&problems);
    c->rows = rows[STATUS_LANES];
    lanes_well = is_relay ? show_relay_lanes(c, status) : show_agent_lanes(c, status);
    c->rows = rows[STATUS_DOMAINS];
    domains_well = is_relay ? show_relay_domains(c, status) : show_agent_domains(c, status);
    print_notices(&notices);
    buf_free(&notices);
    c->rows = rows[STATUS_PORTS];
    if (has_ports(status))
        ports_well = is_relay ? show_relay_ports(c, status) : show_agent_ports(c, status);
    return listeners_state_is_well(status) && lanes_well && domains_well && ports_well ? CTL_WELL
                                                                                       : CTL_FAILING;
}

static enum ctl_exit show_all(struct ctl *c, void *user)
{
    enum ctl_exit result;
    json_t *status;

    (void)user;
    result = ctl_ask(c, "GET", "/v1/status", &status);
    if (result == CTL_WELL && !is_understood(status)) {
        fprintf(stderr,
                "tunnelctl: the daemon's answer is not a status; compare versions: tunnelctl version\n");
        result = CTL_NO_DAEMON;
    }
    if (result == CTL_WELL)
        result = !c->json ? show(c, status) : well_all(status) ? CTL_WELL : CTL_FAILING;
    json_decref(status);
    return result;
}

static enum ctl_exit show_domain(struct ctl *c, void *user)
{
    (void)user;
    return ctl_status_domain(c, c->argv[0]);
}

enum ctl_exit ctl_status(struct ctl *c)
{
    enum ctl_exit (*shown)(struct ctl * c, void *user) = c->argc > 0 ? show_domain : show_all;

    if (c->argc > 1)
        return ctl_wrong_usage("status takes one DOMAIN, but was also given %s", c->argv[1]);
    return c->watch ? watch_screen(c, WATCH_MS, false, shown, NULL) : shown(c, NULL);
}
