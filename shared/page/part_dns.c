/* DNS: what an agent keeps right. */
#include "shared/page/parts.h"

#include "shared/status/dns_state.h"
#include "shared/status/text.h"
#include "shared/status/when.h"

enum { DNS_BYTES = 6000 };

static void add_record(struct html_table *t, const json_t *dns, const json_t *record)
{
    const char *next = status_text(record, "next_check");
    struct buf *cell;
    struct when left;

    if (!html_row(t))
        return;
    cell = html_cell(t);
    html_text(cell, status_text(record, "name"), 120);
    buf_add_text(cell, " ");
    html_text(cell, status_text(record, "type"), 12);
    part_state(t, record, "state", !dns_state_is_wrong(record));
    part_text(t, dns, "provider");
    part_list(t, json_object_get(record, "wanted"));
    part_list(t, json_object_get(record, "public"));
    buf_printf(html_cell(t), *next ? "in %s" : "\xe2\x80\x93", *next ? when_in(next, &left) : "");
}

static void add_records(struct html_table *t, const json_t *status, size_t rank)
{
    const json_t *domain, *record, *dns;
    size_t i, j;

    json_array_foreach(json_object_get(status, "domains"), i, domain)
    {
        dns = json_object_get(domain, "dns");
        json_array_foreach(json_object_get(dns, "records"), j, record)
        {
            if (dns_state_rank(record) == rank)
                add_record(t, dns, record);
        }
    }
}

static void add_house(struct buf *out, const json_t *status)
{
    const json_t *public = json_object_get(status, "public");
    const char *v4 = status_text(public, "v4"), *v6 = status_text(public, "v6");

    buf_add_text(out, "<p class=about>This house's own address: ");
    html_text(out, *v4 ? v4 : "no IPv4 one known", 60);
    buf_add_text(out, ", ");
    html_text(out, *v6 ? v6 : "no IPv6 one known", 60);
    buf_add_text(out, "</p>");
}

void part_dns_add(struct buf *out, const json_t *status)
{
    static const char *const headings[] = { "Record",    "State",           "Kept at",
                                            "Should be", "The public sees", "Next look" };
    struct html_table t;

    buf_add_text(out, "<h2>DNS</h2>");
    if (part_is_relay(status)) {
        buf_add_text(
            out, "<p class=about>Each house's agent keeps the records of its sites: its own status page, and "
                 "<code>tunnelctl dns</code> there, show them.</p>");
        return;
    }
    add_house(out, status);
    html_table_begin(&t, out, DNS_BYTES, headings, 6);
    for (size_t rank = 0; rank <= DNS_STATE_BEST; rank++)
        add_records(&t, status, rank);
    html_table_end(&t, "tunnelctl dns", "No record is kept by this agent.");
}
