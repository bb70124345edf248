/* shared/lane_words.h - the messages about certificates: txt, fetch, challenge, their answers, cert and notice, and ban; for
 * lane_msg.c alone. Pure. */
#ifndef SHARED_LANE_WORDS_H
#define SHARED_LANE_WORDS_H
#include "shared/lane_member.h"

must_check int lane_read_txt(struct lane_msg *m, struct err *e);
must_check int lane_read_fetch(struct lane_msg *m, struct err *e);
must_check int lane_read_challenge(struct lane_msg *m, struct err *e);
must_check int lane_read_done(struct lane_msg *m, struct err *e); /* txt_done, challenge_done */
must_check int lane_read_fetched(struct lane_msg *m, struct err *e);
must_check int lane_read_cert(struct lane_msg *m, struct err *e);
must_check int lane_read_notice(struct lane_msg *m, struct err *e);
must_check int lane_read_ban(struct lane_msg *m, struct err *e);

void lane_write_txt(json_t *to, const struct lane_msg *m);
void lane_write_fetch(json_t *to, const struct lane_msg *m);
void lane_write_challenge(json_t *to, const struct lane_msg *m);
void lane_write_done(json_t *to, const struct lane_msg *m);
void lane_write_fetched(json_t *to, const struct lane_msg *m);
void lane_write_cert(json_t *to, const struct lane_msg *m);
void lane_write_notice(json_t *to, const struct lane_msg *m);
void lane_write_ban(json_t *to, const struct lane_msg *m);
#endif
