/* shared/lane_member.h - the members that control messages are made of, read and written; for lane_msg.c and lane_words.c alone. Pure.
 *
 * Readers return 0, or -1 with an error that names the member. What they hand out lives as long as the message. */
#ifndef SHARED_LANE_MEMBER_H
#define SHARED_LANE_MEMBER_H
#include "shared/lane_msg.h"

enum { LANE_WORD_BYTES = 64 }; /* of ids, versions and the like */

/* Printable text of 1 to max bytes: it may stand in a log line, and be compared, as it is. */
must_check int lane_get_text(const json_t *from, const char *key, size_t max, const char **text,
                             struct err *e);
must_check int lane_get_text_or_none(const json_t *from, const char *key, size_t max, const char **text,
                                     struct err *e);
must_check int lane_get_name(const json_t *from, const char *key, const char **name, struct err *e);
/* Text for people, of any length: made showable. */
must_check int lane_get_showable(struct lane_msg *m, const json_t *from, const char *key, const char **text,
                                 struct err *e);
/* Exactly n bytes as lower-case hex digits. */
must_check int lane_get_hex(const json_t *from, const char *key, unsigned char *out, size_t n, struct err *e);
must_check int lane_get_stream(const json_t *from, uint64_t *stream, struct err *e); /* the member "stream" */
/* A list of at most max items, and zeroed room for what each becomes, `size` bytes. */
must_check int lane_get_list(struct lane_msg *m, const json_t *from, const char *key, size_t max, size_t size,
                             const json_t **list, void **room, struct err *e);
/* A list of at most max texts of 1 to LANE_ITEM_BYTES printable bytes. */
must_check int lane_get_texts(struct lane_msg *m, const json_t *from, const char *key, size_t max,
                              const char *const **texts, size_t *n, struct err *e);

/* A text that is NULL is written as an empty one. */
void lane_set_text(json_t *to, const char *key, const char *text);
void lane_set_showable(json_t *to, const char *key, const char *text);
void lane_set_int(json_t *to, const char *key, int64_t n);
void lane_set_stream(json_t *to, uint64_t stream);
void lane_set_texts(json_t *to, const char *key, const char *const *texts, size_t n);
#endif
