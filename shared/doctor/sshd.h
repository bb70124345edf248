/* shared/doctor/sshd.h - does this machine's sshd let agents do what they have to? Its settings, and the account. Pure. */
#ifndef SHARED_DOCTOR_SSHD_H
#define SHARED_DOCTOR_SSHD_H
#include "shared/doctor/steps.h"

/* What `sshd -T` prints: {key: value}, keys in lower case; several lines of one key are one value, by blanks. A new reference. */
json_t *sshd_settings(const char *text);
/* From the title of a listening sshd ("… 0 of 10-100 startups"): {now, begin, full}. NULL: it does not say. */
json_t *sshd_startups(const char *title);
/* bare: our drop-in is yet to come, so what it sets, and the user, are no matter. Facts: {user, bare, settings, settings_why, startups, account: {there, password_locked, expired, shell, shell_there, groups[]}}. */
void sshd_judge(struct steps *s, const json_t *facts);
#endif
