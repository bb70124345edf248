/* shared/ctl/plain_path.h - one file, one path: without ".", ".." and empty parts. */
#ifndef SHARED_CTL_PLAIN_PATH_H
#define SHARED_CTL_PLAIN_PATH_H

/* A heap copy of an absolute path, made plain. Links in it stay, unless ".." behind one leads elsewhere than the words
 * say: then it is the path that the file has without any link. What is not there is made plain by its words alone. */
char *plain_path(const char *path);
#endif
