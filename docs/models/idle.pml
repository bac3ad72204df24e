/* Idle workers and who wakes them: announce, begin_search, stop_searching, sleep, before_blocking and choose of heddle/exec
 * (thread_pool.cpp, worker.cpp); tags are those of the essay in thread_pool.cpp.
 *
 * Two workers of a pool of two, and one or two threads that are none and bring three items, at any moment. A store of
 * theirs to their inlet lies in their store buffer until it drains by itself, by a read-modify-write of theirs, or by
 * somebody's heavy barrier; what they read meanwhile is the memory. Whatever a worker does is a read-modify-write of the
 * census or a look at memory. What happens under the pool's lock is one step. With
 * -DMEET two items must have begun before either ends, so that one worker cannot do them one after the other.
 *
 * Promised: everything that is brought is run, and once; nobody sleeps while there is an item and no one who looks; the
 * line of sleepers is as long as the census says (I3); when all is done everybody sleeps.
 *
 * The scenes. As it is: one thread brings the items. -DTWO: two threads do. -DMEET: as above.
 */

/* must hold: -DTWO */
/* must hold: -DTWO -DMEET */
/* must hold: -DMEET */

/* must fail: -DFAULT=1 */ /* who falls asleep does not look again (I1) */
/* must fail: -DFAULT=2 */ /* the first to become idle passes no heavy barrier (I1) */
/* must fail: -DFAULT=3 */ /* announcing beside somebody idle is no read-modify-write (I1) */
/* must fail: -DFAULT=4 -DTWO -DMEET */ /* the last searcher does not look again when it has found something (I3) */
/* must fail: -DFAULT=5 -DMEET */ /* who has been woken does not count as searching (I3) */
/* must fail: -DFAULT=6 -DTWO */ /* the census is changed after the look (I1) */

/* not in the code: drain drain_all */

#ifndef FAULT
#define FAULT 0
#endif

#define WORKERS 2
#ifdef TWO
#define BRINGERS 2
#define SHARE(b) (2 - b)
#else
#define BRINGERS 1
#define SHARE(b) 3
#endif
#define ITEMS 3

/* The census. */
byte asleep;
byte searching = WORKERS;
#define ACTIVE (WORKERS - asleep)
#define IDLE (asleep != 0 || searching != 0)

/* Inlets: what stands in memory, and what is still in the bringer's store buffer. */
byte inlet[BRINGERS];
byte buffered[BRINGERS];
#ifdef TWO
#define WORK (inlet[0] != 0 || inlet[1] != 0)
#else
#define WORK (inlet[0] != 0)
#endif

bool in_line[WORKERS]; /* the line of sleepers */
bool woken[WORKERS];   /* told to go on, and not yet seen */
byte taken;
byte begun;
byte ended;

inline drain(b) { inlet[b] = inlet[b] + buffered[b]; buffered[b] = 0 }
inline drain_all() {
  drain(0);
#ifdef TWO
  drain(1)
#endif
}

/* choose() and carry_out(): under the lock, then a wake that cannot fail. */
inline notify() {
  atomic {
    if
    :: searching == 0 && ACTIVE < WORKERS -> /* I2 */
       assert(asleep != 0);
       asleep--;
       if :: FAULT != 5 -> searching++ :: else fi;
       if
       :: in_line[0] -> in_line[0] = false; assert(!woken[0]); woken[0] = true
       :: !in_line[0] && in_line[1] -> in_line[1] = false; assert(!woken[1]); woken[1] = true
       :: else -> assert(false) /* I3 */
       fi
    :: else
    fi
  }
}

proctype bringer(byte me) {
  byte count = 0;
  bool quick;
  do
  :: count < SHARE(me) ->
     count++;
     buffered[me]++; /* the ring's tail */
     quick = !IDLE;  /* announce(): the store may still be in the buffer */
     if
     :: quick
     :: else ->
        if :: FAULT != 3 -> d_step { drain(me) } :: else fi; /* I1: a read-modify-write */
        notify()
     fi
  :: else -> break
  od
}

/* A store buffer drains when it likes to. */
proctype buffer(byte whose) {
end:
  do
  :: atomic { buffered[whose] != 0 -> drain(whose) }
  od
}

proctype worker(byte me) {
  bool last;
  bool found;
  bool before_idle;
search:
  /* Counts as searching. A look at everything, in one step for each place. */
  found = false;
  atomic { if :: inlet[0] != 0 -> inlet[0]--; taken++; found = true :: else fi };
#ifdef TWO
  if
  :: !found -> atomic { if :: inlet[1] != 0 -> inlet[1]--; taken++; found = true :: else fi }
  :: else
  fi;
#endif
  if
  :: found -> goto stops_searching
  :: else
  fi;
sleeps:
  if
  :: FAULT == 6 -> found = WORK
  :: else
  fi;
  atomic { searching--; asleep++; in_line[me] = true };
  if
  :: FAULT == 1
  :: FAULT == 6 -> if :: found -> notify() :: else fi
  :: else -> if :: WORK -> notify() :: else fi /* I1 */
  fi;
end_asleep:
  atomic { woken[me] -> woken[me] = false };
  goto search;
stops_searching:
  atomic { last = (searching == 1); searching-- };
  if
  :: last && FAULT != 4 -> if :: WORK -> notify() :: else fi /* I1, I3 */
  :: else
  fi;
runs:
  begun++;
#ifdef MEET
  begun >= 2;
#endif
  atomic { ended++; assert(ended <= ITEMS) };
  /* Its own queue is empty; it takes what it sees, without having ceased to be active. */
  atomic { if :: inlet[0] != 0 -> inlet[0]--; taken++; goto runs :: else fi };
#ifdef TWO
  atomic { if :: inlet[1] != 0 -> inlet[1]--; taken++; goto runs :: else fi };
#endif
  atomic { before_idle = IDLE; searching++ };
  if
  :: !before_idle && FAULT != 2 -> d_step { drain_all() } /* I1: the heavy barrier */
  :: else
  fi;
  goto search
}

/* When nothing moves any more, everything has been run and everybody sleeps. */
proctype judge() {
  timeout ->
  assert(ended == ITEMS);
  assert(asleep == WORKERS && searching == 0 && in_line[0] && in_line[1])
}

init {
  atomic {
    byte i = 0;
    do :: i < BRINGERS -> run bringer(i); run buffer(i); i++ :: else -> break od;
    run worker(0);
    run worker(1);
    run judge()
  }
}
