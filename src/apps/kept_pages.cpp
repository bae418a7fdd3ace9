// How jemalloc manages the memory of a program that trains (docs/decisions/0009); linked by
// `homolog_keeps_pages(PROGRAM)`. The environment's MALLOC_CONF overrides it.

// A step gives back and takes the same blocks again: unused pages are never returned to the
// kernel, which would clear and map them anew, and large blocks lie on huge pages.
extern "C" const char* malloc_conf;
const char* malloc_conf = "dirty_decay_ms:-1,muzzy_decay_ms:-1,thp:always";
