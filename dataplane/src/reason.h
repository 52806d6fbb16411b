/* reason.h: what is counted by kind: why a frame was not used, why a session ended, what a connection speaks.
 *
 * Made of observe/stats.def. An early return without a reason is a bug.
 */
#ifndef XDPCOPY_REASON_H
#define XDPCOPY_REASON_H

enum drop {
    DROP_NONE,
#define DROP(name, help) DROP_##name,
#include "observe/stats.def"
    DROP_COUNT
};

enum end {
    END_NONE,
#define END(name, help) END_##name,
#include "observe/stats.def"
    END_COUNT
};

enum protocol {
#define PROTOCOL(name, help) PROTOCOL_##name,
#include "observe/stats.def"
    PROTOCOL_COUNT
};

#endif
