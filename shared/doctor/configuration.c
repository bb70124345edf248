#include "shared/doctor/configuration.h"

#include "shared/mem.h"

#include <stdlib.h>
#include <string.h>

/* Where a command helps, the line ends in it: "…; run: chmod 600 FILE". */
static void say_line(struct steps *s, const char *line, bool runs)
{
    static const char mark[] = "; run: ";
    const char *command = strstr(line, mark);

    steps_add(s, "configuration", STEP_FAIL, "%s", line);
    if (command)
        steps_remedy(s, "%s", command + sizeof mark - 1);
    else
        steps_remedy(s, "mend that line; then %s",
                     runs ? "run tunnelctl reload (it runs with what it read before)" : "start it again");
}

void configuration_judge(struct steps *s, const char *file, const char *lines, bool runs)
{
    char *copy = mem_copy(lines), *rest = copy, *line;
    size_t wrong = 0;

    while ((line = strsep(&rest, "\n"))) {
        if (*line)
            say_line(s, line, runs);
        wrong += *line != 0;
    }
    if (wrong == 0)
        steps_add(s, "configuration", STEP_PASS, "%s is well", file);
    free(copy);
}
