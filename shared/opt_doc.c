/* Help, sample file and manual: the same facts about each key in three forms. */
#include "shared/opt.h"
#include "shared/opt_internal.h"
#include "shared/value.h"
#include "shared/opt_print.h"

#include <ctype.h>
#include <string.h>

enum { WIDTH = 79 };

/* ---- facts ---- */

/* What stands behind the = when no value is shown. */
static void print_form(struct buf *out, const struct opt *o)
{
    switch (o->type) {
    case OPT_TEXT: buf_add_text(out, "TEXT"); break;
    case OPT_NAME: buf_add_text(out, "NAME"); break;
    case OPT_PATH: buf_add_text(out, "PATH"); break;
    case OPT_SECRET_FILE: buf_add_text(out, "FILE"); break;
    case OPT_LOG:
        for (size_t i = 0; o->choices[i]; i++)
            buf_printf(out, "%s | ", o->choices[i]);
        buf_add_text(out, "FILE");
        break;
    case OPT_NUMBER: buf_add_text(out, "NUMBER"); break;
    case OPT_DURATION: buf_add_text(out, "DURATION"); break;
    case OPT_SIZE: buf_add_text(out, "SIZE"); break;
    case OPT_FLAG: buf_add_text(out, "on | off"); break;
    case OPT_CHOICE:
        for (size_t i = 0; o->choices[i]; i++)
            buf_printf(out, "%s%s", i == 0 ? "" : " | ", o->choices[i]);
        break;
    case OPT_WORDS: buf_add_text(out, "WORD ..."); break;
    case OPT_DOMAINS: buf_add_text(out, "HOST ..."); break;
    case OPT_LISTEN: buf_add_text(out, "ADDRESS:PORT ..."); break;
    case OPT_NETWORKS: buf_add_text(out, "ADDRESS[/BITS] ..."); break;
    case OPT_INCLUDE: buf_add_text(out, "FILE ..."); break;
    case OPT_PAIRS: buf_add_text(out, "VALUE"); break;
    }
}

static void print_bound(struct buf *out, const struct opt *o, int64_t n)
{
    if (o->type == OPT_DURATION)
        value_print_duration(out, n);
    else if (o->type == OPT_SIZE)
        value_print_size(out, n);
    else
        value_print_number(out, n);
}

/* The default as sentence. What this machine says about itself is the same in no two places, so it is not shown. */
static void print_default(struct buf *out, const struct opt *o)
{
    if (o->flags & OPT_REQUIRED)
        buf_add_text(out, "Must be given.");
    else if (!o->def && o->def_of)
        buf_add_text(out, "The default is made from this machine.");
    else if (!o->def)
        buf_add_text(out, o->type == OPT_PAIRS ? "May be given several times." : "Not set by default.");
    else if (o->def[0])
        buf_printf(out, "The default is %s.", o->def);
    else
        buf_add_text(out, "Empty by default.");
}

/* Each fact as a sentence on a line of its own. */
static void print_facts(struct buf *out, const struct opt *o)
{
    if (o->type == OPT_NUMBER || o->type == OPT_DURATION || o->type == OPT_SIZE) {
        buf_add_text(out, "From ");
        print_bound(out, o, o->min);
        buf_add_text(out, " to ");
        print_bound(out, o, o->max);
        buf_add_text(out, ".\n");
    }
    if (o->type == OPT_SECRET_FILE)
        buf_add_text(out, "Mode 0600, or 0640 with the daemon's group.\n");
    print_default(out, o);
    if (!(o->flags & OPT_RELOAD) && o->type != OPT_INCLUDE)
        buf_add_text(out, "\nA change needs a restart.");
    buf_add_text(out, "\n");
}

/* Wraps text, in which newlines end lines, to WIDTH columns; each line begins with `lead`. */
static void print_wrapped(struct buf *out, const char *lead, const char *text)
{
    size_t column = 0;

    while (*text) {
        size_t n = strcspn(text, " \n");

        if (column > 0 && column + 1 + n > WIDTH) {
            buf_add_text(out, "\n");
            column = 0;
        }
        if (column == 0) {
            buf_add_text(out, lead);
            column = strlen(lead);
        } else if (n > 0) {
            buf_add_text(out, " ");
            column++;
        }
        buf_add(out, text, n);
        column += n;
        text += n;
        if (*text == '\n') {
            buf_add_text(out, "\n");
            column = 0;
        }
        text += *text != 0;
    }
    if (column > 0)
        buf_add_text(out, "\n");
}

/* Help and facts as one flowing text. */
static void print_help(struct buf *out, const char *lead, const struct opt *o)
{
    struct buf text = { 0 };

    buf_printf(&text, "%s ", o->help);
    print_facts(&text, o);
    for (char *p = text.mem + text.start; p < text.mem + text.start + text.len - 1; p++)
        if (*p == '\n')
            *p = ' ';
    print_wrapped(out, lead, buf_text(&text));
    buf_free(&text);
}

static const char *heading_name(const struct opt_kind *kind)
{
    return kind->naming == OPT_NAMED ? " NAME" : kind->naming == OPT_MAYBE_NAMED ? "] or [" : "";
}

/* "[relay]", "[domain NAME]", "[acme] or [acme NAME]" */
static void print_heading(struct buf *out, const struct opt_kind *kind)
{
    buf_printf(out, "[%s%s", kind->kind, heading_name(kind));
    if (kind->naming == OPT_MAYBE_NAMED)
        buf_printf(out, "%s NAME", kind->kind);
    buf_add_text(out, "]");
}

/* ---- --help ---- */

static void print_help_row(struct buf *out, const struct opt *o)
{
    struct buf form = { 0 }, line = { 0 };

    print_form(&form, o);
    buf_printf(&line, "%s%s = %s", o->key, o->type == OPT_PAIRS ? " WORD" : "", buf_text(&form));
    buf_add_text(out, "\n");
    print_wrapped(out, "  ", buf_text(&line));
    print_help(out, "      ", o);
    buf_free(&form);
    buf_free(&line);
}

void opt_print_help(struct buf *out, const struct opt_schema *schema)
{
    for (size_t k = 0; k < schema->kinds_n; k++) {
        size_t n;
        const struct opt *rows = opt_rows(schema, schema->kinds[k].kind, &n);

        buf_add_text(out, k == 0 ? "" : "\n");
        print_heading(out, &schema->kinds[k]);
        buf_add_text(out, "\n");
        print_wrapped(out, "  ", schema->kinds[k].help);
        for (size_t i = 0; i < n; i++)
            print_help_row(out, &rows[i]);
    }
}

/* ---- the sample file ---- */

static void print_sample_row(struct buf *out, const struct opt *o)
{
    const char *value = o->sample && !(o->def && o->def[0]) ? o->sample : o->def ? o->def : "";

    buf_add_text(out, "\n");
    print_help(out, "; ", o);
    if (o->type == OPT_PAIRS)
        buf_printf(out, "; %s %s\n", o->key, o->sample ? o->sample : "WORD = VALUE");
    else
        buf_printf(out, "; %s =%s%s\n", o->key, *value ? " " : "", value);
}

void opt_print_sample(struct buf *out, const struct opt_schema *schema)
{
    print_wrapped(out, "; ", schema->intro);
    buf_add_text(out, ";\n");
    print_wrapped(
        out, "; ",
        "Each key is shown with its default, or with an example where it has none: take the ; away in "
        "front of a key, and of its section, to change it.");
    for (size_t k = 0; k < schema->kinds_n; k++) {
        const struct opt_kind *kind = &schema->kinds[k];
        size_t n;
        const struct opt *rows = opt_rows(schema, kind->kind, &n);

        buf_add_text(out, "\n");
        print_wrapped(out, "; ", kind->help);
        buf_printf(out, "%s[%s%s]\n", kind->naming == OPT_UNNAMED ? "" : "; ", kind->kind,
                   kind->naming == OPT_NAMED ? " NAME" : "");
        for (size_t i = 0; i < n; i++)
            print_sample_row(out, &rows[i]);
    }
}

/* ---- the manual ---- */

/* Text for roff: nothing in it is taken for a request, an escape, or the name of a macro. */
static void print_roff(struct buf *out, const char *text)
{
    bool line_start = true;

    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\''))
            buf_add_text(out, "\\&");
        line_start = *text == '\n';
        if (*text == '\\')
            buf_add_text(out, "\\e");
        else
            buf_add(out, text, 1);
    }
}

/* Help text: each sentence begins a line, as mdoc wants it. */
static void print_roff_text(struct buf *out, const char *text)
{
    struct buf lines = { 0 };

    for (; *text; text++) {
        bool ends = (text[0] == '.' || text[0] == '?' || text[0] == '!') && text[1] == ' ' &&
                    isupper((unsigned char)text[2]);

        buf_add(&lines, text, 1);
        if (ends) {
            buf_add_text(&lines, "\n");
            text++;
        }
    }
    print_roff(out, buf_text(&lines));
    buf_add_text(out, "\n");
    buf_free(&lines);
}

/* One word as the argument of a macro. */
static void print_roff_word(struct buf *out, const char *text)
{
    buf_add_text(out, " \\&");
    print_roff(out, text);
}

static void print_manual_row(struct buf *out, const struct opt *o)
{
    struct buf text = { 0 };

    buf_add_text(out, ".It Ic");
    print_roff_word(out, o->key);
    if (o->type == OPT_PAIRS)
        buf_add_text(out, " Ar word");
    buf_add_text(out, " No = ");
    print_form(&text, o);
    buf_printf(out, "%s \"", o->type == OPT_FLAG || o->type == OPT_CHOICE ? "Cm" : "Ar");
    for (const char *p = buf_text(&text); *p; p++)
        buf_printf(out, "%c", tolower((unsigned char)*p));
    buf_add_text(out, "\"\n");
    print_roff_text(out, o->help);
    buf_take(&text, text.len);
    print_facts(&text, o);
    print_roff(out, buf_text(&text));
    if (o->sample) {
        buf_add_text(out, "Example:\n.Dl");
        print_roff_word(out, o->key);
        buf_add_text(out, o->type == OPT_PAIRS ? " " : " = ");
        print_roff(out, o->sample);
        buf_add_text(out, "\n");
    }
    buf_free(&text);
}

void opt_print_manual(struct buf *out, const struct opt_schema *schema)
{
    buf_add_text(out, ".Sh OPTIONS\n");
    for (size_t k = 0; k < schema->kinds_n; k++) {
        const struct opt_kind *kind = &schema->kinds[k];
        size_t n;
        const struct opt *rows = opt_rows(schema, kind->kind, &n);

        buf_add_text(out, ".Ss ");
        print_heading(out, kind);
        buf_add_text(out, "\\&\n"); /* a bracket at the end would be taken for punctuation */
        print_roff_text(out, kind->help);
        if (n > 0)
            buf_add_text(out, ".Bl -tag -width Ds\n");
        for (size_t i = 0; i < n; i++)
            print_manual_row(out, &rows[i]);
        if (n > 0)
            buf_add_text(out, ".El\n");
    }
}
