/* reason.h: the headings of the ledger: why a frame was not used, why a session ended.
 *
 * Made of observe/stats.def. Used by every stage; an early return without a reason is a bug.
 */
#ifndef XDPCOPY_REASON_H
#define XDPCOPY_REASON_H

#define COUNTER(name, unit, help)
#define GAUGE(name, unit, help)

enum drop {
    DROP_NONE,
#define DROP(name, help) DROP_##name,
#define END(name, help)
#include "observe/stats.def"
#undef DROP
#undef END
    DROP_COUNT
};

enum end {
    END_NONE,
#define DROP(name, help)
#define END(name, help) END_##name,
#include "observe/stats.def"
#undef DROP
#undef END
    END_COUNT
};

#undef COUNTER
#undef GAUGE

#endif
