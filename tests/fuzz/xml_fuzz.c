/* An XML document from a server: refused with a reason, or one element with what is in it, all of it text. */
#include "shared/dns/xml.h"
#include "tests/fuzz/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const json_t *value, int depth)
{
    const char *name;
    json_t *list, *one;
    size_t i;

    must(depth <= XML_DEPTH);
    if (json_is_string(value))
        return;
    must(json_is_object(value));
    json_object_foreach((json_t *)value, name, list)
    {
        must(json_is_array(list) && json_array_size(list) > 0);
        json_array_foreach(list, i, one)
        {
            look_at(one, depth + 1);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = { 0 };
    json_t *root = xml_read((struct str){ (const char *)data, size }, &e);

    must(root || e.text[0]);
    if (root) {
        must(json_object_size(root) == 1);
        look_at(root, 0);
    }
    json_decref(root);
    return 0;
}
