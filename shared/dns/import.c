#include "shared/dns/import.h"

#include "shared/mem.h"
#include "shared/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void import_add(struct import_list *list, struct str key, struct str value, unsigned line)
{
    struct import_pair *pair;

    if (list->n % 16 == 0)
        list->list = mem_grow(list->list, (list->n + 16) * sizeof *list->list);
    pair = &list->list[list->n++];
    *pair = (struct import_pair){ .value = mem_copy_n(value.p, value.n), .line = line };
    if (key.p)
        pair->key = mem_copy_n(key.p, key.n);
}

struct import_account *import_add_account(struct import_file *file, struct str service, unsigned line)
{
    struct import_account *account;

    if (file->n % 16 == 0)
        file->accounts = mem_grow(file->accounts, (file->n + 16) * sizeof *file->accounts);
    account = &file->accounts[file->n++];
    *account = (struct import_account){ .service = mem_copy_n(service.p, service.n), .line = line };
    return account;
}

struct import_pair *import_find(const struct import_list *list, const char *key)
{
    for (size_t i = list->n; i > 0; i--)
        if (list->list[i - 1].key && strcmp(list->list[i - 1].key, key) == 0)
            return &list->list[i - 1];
    return NULL;
}

static void free_text(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

static void free_list(struct import_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->list[i].key);
        free_text(list->list[i].value);
    }
    free(list->list);
    *list = (struct import_list){ 0 };
}

void import_file_free(struct import_file *file)
{
    free_list(&file->globals);
    for (size_t i = 0; i < file->n; i++) {
        free(file->accounts[i].service);
        free_list(&file->accounts[i].settings);
        free_list(&file->accounts[i].names);
    }
    free(file->accounts);
    *file = (struct import_file){ 0 };
}

void import_plan_free(struct import_plan *plan)
{
    buf_free(&plan->ini);
    free_list(&plan->left);
    for (size_t i = 0; i < plan->secrets_n; i++) {
        free(plan->secrets[i].base);
        free_text(plan->secrets[i].bytes);
    }
    free(plan->secrets);
    *plan = (struct import_plan){ 0 };
}

int import_wrong(struct err *e, unsigned line, const char *fmt, ...)
{
    char text[sizeof e->text];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return err_set(e, ERR_INPUT, "%u: %s", line, text);
}

int import_check_text(struct str text, struct err *e)
{
    unsigned line = 1;

    for (size_t at = 0, n; at < text.n; at += n) {
        line += text.p[at] == '\n';
        n = utf8_printable(text.p + at, text.n - at);
        if (text.p[at] == '\t' || text.p[at] == '\n' ||
            (text.p[at] == '\r' && at + 1 < text.n && text.p[at + 1] == '\n'))
            n = 1;
        if (n == 0)
            return import_wrong(e, line, "a byte that is no part of UTF-8 text; is it a configuration file?");
    }
    return 0;
}

/* provider NAME {, or custom NAME {, whose { may stand in the next line. */
static bool is_section(struct str line)
{
    struct str word;

    if (!str_next_word(&line, "", &word) || !(str_eq(word, "provider") || str_eq(word, "custom")))
        return false;
    line = str_trim(line);
    while (line.n > 0 && !strchr(" \t\r{", *line.p)) {
        line.p++;
        line.n--;
    }
    line = str_trim(line);
    return line.n == 0 || *line.p == '{' || *line.p == '\r';
}

enum import_program import_program_of(struct str text)
{
    while (text.n > 0) {
        const char *end = memchr(text.p, '\n', text.n);
        struct str line = { text.p, end ? (size_t)(end - text.p) : text.n };

        if (is_section(line))
            return IMPORT_INADYN;
        text.p += line.n + (end != NULL);
        text.n -= line.n + (end != NULL);
    }
    return IMPORT_DDCLIENT;
}
