#include "shed.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "store/flow.h"

_Static_assert(SHED_WORKERS == DP_MAX_WORKERS && SHED_PORTS == DP_MAX_PORTS, "room for all");

int shed_open(int map, uint32_t workers, struct shed **shed)
{
    void *memory = mmap(NULL, sizeof(**shed), PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
    if (memory == MAP_FAILED)
        return -errno;
    *shed = memory;
    (*shed)->workers = workers;
    return 0;
}

void shed_close(struct shed *shed)
{
    if (shed)
        munmap(shed, sizeof(*shed));
}

/* A slot that was full once stays full: nobody knows when it is empty again. */
static void count(uint8_t *slot, int change)
{
    uint8_t before = __atomic_load_n(slot, __ATOMIC_RELAXED);
    while (before != UINT8_MAX && !__atomic_compare_exchange_n(slot, &before, (uint8_t)(before + change),
                                                               true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

static void count_in_all(const struct sheds *sheds, const struct endpoint *client, int change)
{
    if (!sheds->count)
        return;
    uint32_t hash = hash_sample(client->address.half[0], client->address.half[1], client->port);
    for (uint32_t i = 0; i < sheds->count; i++)
        count(&sheds->at[i]->known[shed_slot(hash)], change);
}

void sheds_know(const struct sheds *sheds, const struct endpoint *client)
{
    count_in_all(sheds, client, 1);
}

void sheds_forget(const struct sheds *sheds, const struct endpoint *client)
{
    count_in_all(sheds, client, -1);
}

void sheds_close_above(struct sheds *sheds, uint32_t closed)
{
    if (closed == sheds->closed)
        return;
    for (uint32_t i = 0; i < sheds->count; i++) {
        struct shed *shed = sheds->at[i];
        __atomic_store_n(&shed->closed[sheds->worker], closed, __ATOMIC_RELAXED);
        if (!closed != !sheds->closed)
            __atomic_fetch_add(&shed->closing, closed ? 1 : -1, __ATOMIC_RELAXED);
    }
    sheds->closed = closed;
}
