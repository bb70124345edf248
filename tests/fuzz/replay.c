/* tests/fuzz/replay.c - runs a fuzz target over saved inputs, without a fuzzing engine: FILE… or FOLDER… */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    uint8_t *data;
    size_t n;

    if (!f || fstat(fileno(f), &st) != 0) {
        perror(path);
        return 1;
    }
    data = malloc((size_t)st.st_size + 1);
    n = data ? fread(data, 1, (size_t)st.st_size, f) : 0;
    fclose(f);
    LLVMFuzzerTestOneInput(data, n);
    free(data);
    return 0;
}

static int replay_folder(const char *path, int *inputs)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int failures = 0;

    if (!dir) {
        (*inputs)++;
        return replay_file(path);
    }
    while ((entry = readdir(dir))) {
        char file[4096];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        failures += replay_file(file);
        (*inputs)++;
    }
    closedir(dir);
    return failures;
}

int main(int argc, char **argv)
{
    int failures = 0, inputs = 0;

    for (int i = 1; i < argc; i++)
        failures += replay_folder(argv[i], &inputs);
    printf("%d saved inputs replayed\n", inputs);
    return failures || inputs == 0;
}
