/* The deque of heddle/exec/steal_deque.hpp: push, take_back, pop and steal; tags are those of its essay.
 *
 * The owner pushes items and takes back as it likes, on a deque with room for two; thieves steal. The owner's stores lie
 * in a store buffer, first in, first out, until it drains by itself, by a compare-and-swap of the owner's, or by a thief's
 * heavy barrier; the owner's loads of top_ read the memory meanwhile.
 *
 * Promised: each item that was pushed is taken once, by the owner or a thief, and none is lost.
 */

/* not in the code: drain_one drain_all take */

/* must fail: -DFAULT=1 */ /* a thief passes no heavy barrier (E2) */
/* must fail: -DFAULT=2 */ /* the owner takes the last item without a compare-and-swap (I1) */
/* must fail: -DFAULT=3 */ /* push() does not look for room (I2) */
/* must fail: -DFAULT=4 */ /* a thief reads the place after it has moved top_ (I2) */
/* must fail: -DFAULT=5 */ /* the owner loads top_ before it stores bottom_ (E2) */
/* must fail: -DFAULT=6 */ /* the owner does not put bottom_ back when it was too late */

#ifndef FAULT
#define FAULT 0
#endif

#define ROOM 2
#define ITEMS 3
#define THIEVES 2

/* Memory. */
byte top = 1;
byte bottom = 1;
byte place[ROOM];

/* The owner's stores that are not in memory yet: an address, 0 and 1 for the places, 2 for bottom, and a value. */
chan buffer = [3] of { byte, byte };

bool taken[ITEMS + 1];
byte count;
byte thieves_done;

inline take(item) { assert(item != 0 && !taken[item]); taken[item] = true; count++ }

inline drain_one() {
  buffer?at,value;
  if :: at == 2 -> bottom = value :: else -> place[at] = value fi
}
inline drain_all() { do :: nempty(buffer) -> drain_one() :: empty(buffer) -> break od }

active proctype drains() {
  byte at, value;
end:
  do :: d_step { nempty(buffer) -> drain_one(); at = 0; value = 0 } od
}

active proctype owner() {
  byte own_bottom = 1, known_top = 1, t, b, at, value, next = 1;
  byte own_place[ROOM];
  do
  :: next <= ITEMS -> /* push() */
     if
     :: own_bottom - known_top >= ROOM && FAULT != 3 -> known_top = top /* E3 */
     :: else
     fi;
     if
     :: own_bottom - known_top < ROOM || FAULT == 3 ->
        d_step { own_place[own_bottom % ROOM] = next; at = own_bottom % ROOM };
        buffer!at,next;
        own_bottom++;
        buffer!2,own_bottom; /* E1 */
        next++
     :: else
     fi
  :: own_bottom > 1 -> /* pop() */
     t = top;
     if
     :: t < own_bottom ->
        b = own_bottom - 1;
        own_bottom = b;
        if :: FAULT == 5 -> t = top :: else fi;
        buffer!2,b;
        if :: FAULT != 5 -> t = top :: else fi; /* E2 */
        if
        :: t < b || FAULT == 2 -> if :: t <= b -> take(own_place[b % ROOM]) :: else -> own_bottom = b + 1; buffer!2,own_bottom fi
        :: else -> /* take_back_last(): I1 */
           t = top;
           atomic {
             drain_all();
             if
             :: t == b && top == t -> top++; take(own_place[b % ROOM])
             :: else
             fi
           };
           if
           :: FAULT != 6 -> own_bottom = b + 1; buffer!2,own_bottom
           :: else
           fi
        fi
     :: else -> if :: next > ITEMS -> break :: else fi
     fi
  :: next > ITEMS && own_bottom == 1 -> break
  od;
  atomic { empty(buffer) && thieves_done == THIEVES -> assert(count == ITEMS) }
}

proctype steals() {
  byte t, item, at, value, tries;
  do
  :: tries < 2 ->
     tries++;
     t = top;
     if
     :: t < bottom ->
        if :: FAULT != 1 -> d_step { drain_all(); at = 0; value = 0 } :: else fi; /* E2 */
        if
        :: t < bottom ->
           item = place[t % ROOM];
           if
           :: atomic { top == t ->
                top++;
                if :: FAULT != 4 -> take(item); item = 0 :: else fi
              }
              if
              :: FAULT == 4 -> item = place[t % ROOM]; atomic { take(item); item = 0 }
              :: else
              fi
           :: top != t -> item = 0
           fi
        :: else
        fi
     :: else
     fi
  :: break
  od;
  thieves_done++
}

init { atomic { run steals(); run steals() } }
