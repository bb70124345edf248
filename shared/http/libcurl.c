#include "shared/http/libcurl.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LIBRARY "libcurl.so.4"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct libcurl lib;
static struct err failed;     /* its code is ERR_NONE once the library is there */
static size_t objects_before; /* how many were loaded already; these are first in every walk */
static atomic_bool used;      /* since the last rest */

static const struct {
    const char *name;
    size_t at; /* of the pointer to it, in struct libcurl */
} functions[] = {
    { "curl_global_init_mem", offsetof(struct libcurl, global_init_mem) },
    { "curl_easy_init", offsetof(struct libcurl, easy_init) },
    { "curl_easy_setopt", offsetof(struct libcurl, easy_setopt) },
    { "curl_easy_perform", offsetof(struct libcurl, easy_perform) },
    { "curl_easy_getinfo", offsetof(struct libcurl, easy_getinfo) },
    { "curl_easy_strerror", offsetof(struct libcurl, easy_strerror) },
    { "curl_easy_cleanup", offsetof(struct libcurl, easy_cleanup) },
    { "curl_slist_append", offsetof(struct libcurl, slist_append) },
    { "curl_slist_free_all", offsetof(struct libcurl, slist_free_all) },
};

/* ---- its memory: with its size in front, to be wiped ---- */

union piece {
    size_t n;
    max_align_t aligned;
};

static void *get(size_t n)
{
    union piece *p = n < SIZE_MAX - sizeof *p ? malloc(sizeof *p + n) : NULL;

    if (!p)
        return NULL;
    p->n = n;
    return p + 1;
}

static void *get_zeroed(size_t n, size_t one)
{
    size_t all;
    void *memory = __builtin_mul_overflow(n, one, &all) ? NULL : get(all);

    return memory ? memset(memory, 0, all) : NULL;
}

static void release(void *memory)
{
    union piece *p = memory;

    if (!memory)
        return;
    explicit_bzero(memory, p[-1].n);
    free(p - 1);
}

static void *resize(void *memory, size_t n)
{
    union piece *p = memory;
    void *next = get(n);

    if (next && memory)
        memcpy(next, memory, p[-1].n < n ? p[-1].n : n);
    if (next)
        release(memory);
    return next;
}

static char *copy(const char *text)
{
    size_t n = strlen(text) + 1;
    void *memory = get(n);

    return memory ? memcpy(memory, text, n) : NULL;
}

/* ---- the library ---- */

static int count_object(struct dl_phdr_info *object, size_t n, void *user)
{
    (void)object;
    (void)n;
    ++*(size_t *)user;
    return 0;
}

static void load(void)
{
    void *library;

    dl_iterate_phdr(count_object, &objects_before);
    library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

    if (!library) {
        (void)err_set(&failed, ERR_MISSING, "cannot load %s (%s); install it (on Debian: libcurl4)", LIBRARY,
                      dlerror());
        return;
    }
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *found = dlsym(library, functions[i].name);

        if (!found) {
            (void)err_set(&failed, ERR_MISSING, "%s has no %s; install a newer one", LIBRARY,
                          functions[i].name);
            return;
        }
        *(void **)(void *)((char *)&lib + functions[i].at) = found;
    }
    if (lib.global_init_mem(CURL_GLOBAL_DEFAULT, get, release, resize, copy, get_zeroed) != CURLE_OK)
        (void)err_set(&failed, ERR_SYSTEM, "libcurl cannot be set up");
}

/* ---- at rest ---- */

/* What cannot be written is as it is in its file, from where it comes again. A page at the end may belong to what follows. */
static int rest_object(struct dl_phdr_info *object, size_t n, void *user)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    size_t *number = user;

    (void)n;
    if ((*number)++ < objects_before)
        return 0;
    for (size_t i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        uintptr_t begin = object->dlpi_addr + part->p_vaddr, end = (begin + part->p_filesz) & ~(page - 1);

        begin &= ~(page - 1);
        if (part->p_type == PT_LOAD && !(part->p_flags & PF_W) && end > begin &&
            madvise((void *)begin, end - begin, MADV_DONTNEED) != 0)
            return 0; /* it stays, then */
    }
    return 0;
}

void libcurl_rest(void)
{
    size_t number = 0;

    if (atomic_exchange(&used, false))
        dl_iterate_phdr(rest_object, &number);
}

const struct libcurl *libcurl_get(struct err *e)
{
    pthread_once(&once, load);
    if (failed.code == ERR_NONE) {
        atomic_store(&used, true);
        return &lib;
    }
    (void)err_set(e, failed.code, "%s", failed.text);
    return NULL;
}
