/* shared/http/libcurl.h - libcurl, loaded when it is first needed.
 *
 * It brings some twenty libraries with it, several times what the rest of us takes in memory: who makes no request to
 * others does without. What it holds is wiped when it lets go of it: headers with credentials are among that. */
#ifndef SHARED_HTTP_LIBCURL_H
#define SHARED_HTTP_LIBCURL_H
#include "shared/err.h"

#include <curl/curl.h>

struct libcurl {
    CURLcode (*global_init_mem)(long flags, curl_malloc_callback get, curl_free_callback release,
                                curl_realloc_callback resize, curl_strdup_callback copy,
                                curl_calloc_callback get_zeroed);
    CURL *(*easy_init)(void);
    CURLcode (*easy_setopt)(CURL *curl, CURLoption option, ...);
    CURLcode (*easy_perform)(CURL *curl);
    CURLcode (*easy_getinfo)(CURL *curl, CURLINFO info, ...);
    const char *(*easy_strerror)(CURLcode code);
    void (*easy_cleanup)(CURL *curl);
    struct curl_slist *(*slist_append)(struct curl_slist *list, const char *text);
    void (*slist_free_all)(struct curl_slist *list);
};

/* From any thread; loaded once, and for good. NULL: ERR_MISSING it is not installed, ERR_SYSTEM it does not start. */
must_check const struct libcurl *libcurl_get(struct err *e);
/* Nothing is asked for a while: the code of libcurl and of what it brought with it takes no memory until it is run again.
 * From any thread, also while another one runs it. */
void libcurl_rest(void);
#endif
