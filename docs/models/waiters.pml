/* Three waiters at once: heddle/park/wait.cpp and heddle/sync/internal/turnstile.hpp together. Step names are those of
 * their functions, tags those of their essays.
 *
 * A thread, a task and a select compete for a mutex, which somebody else holds at first. The thread is a worker of the
 * task's executor, so that the task cannot run for as long as the thread waits: nothing is granted (docs/adr/0005), and a
 * wake that the task does not act on is overtaken when its alarm rings. The select waits for another object, too, which
 * lets one pass once. Whoever has done with an object last destroys it at once.
 *
 * A select is an agent with a node in each of several queues, and one claim for all of them. The library has none yet; this
 * is the protocol it has to follow. It arms under the locks of all its queues: if a waker has claimed it meanwhile, it
 * waits for the result; else it takes what it can get, and leaves the other queues before it unlocks them; else it stands
 * in all. A wake by which it takes something else it passes on.
 *
 * wait.pml looks at one wait more closely, turnstile.pml at the word: here what happens under a queue's lock is one step.
 *
 * Promised: nobody sleeps for ever, nor commits to sleep while what it waits for is there; one ends an attempt, and the task
 * is posted once per suspension; nobody is woken who does not wait, nor touches an object that was destroyed, and no node is
 * left in one. And a waiter that has been found to starve is passed by at most one newcomer, however many there are and
 * however often others give up; how many take the mutex while it is on its way, woken, is the scheduler's matter and
 * counts once, and a task's executor is out of the protocol's hands, so there the waiters are thread and select.
 *
 * The scenes. As it is: no stop and no deadline. -DSTOPS: any one of the three is stopped at any time. -DDEADLINES: task
 * and select have one. -DBYPASS: a newcomer that takes the mutex whenever it can, for ever, and a select that waits again
 * and again with a deadline.
 */

/* must hold: -DSTOPS */
/* must hold: -DDEADLINES */
/* must hold: -DBYPASS -DDEADLINES */

/* must fail: -DFAULT=1 */ /* each node of a select has a claim of its own (I1) */
/* must fail: -DFAULT=2 */ /* a select takes the other object and keeps the mutex's wake */
/* must fail: -DFAULT=3 */ /* a select returns with a node in a queue */
/* must fail: -DFAULT=4 */ /* a select that fails looks only at the object that woke it */
/* must fail: -DFAULT=5 -DSTOPS */ /* a canceller ends a wait that is claimed (I1, I3) */
/* must fail: -DFAULT=6 -DBYPASS -DDEADLINES */ /* who leaves last ends the starving of one that has been woken (I8) */
/* must fail: -DFAULT=7 */ /* no alarm for a woken task behind which others wait (I4) */
/* must fail: -DFAULT=8 */ /* the wake is published before the mutex is given */
/* must fail: -DFAULT=9 */ /* the task suspends without looking for a claim that came while arming (park's I4) */
/* must fail: -DFAULT=10 */ /* publish posts a task that has not suspended (park's I4) */
/* must fail: -DFAULT=12 -DBYPASS -DDEADLINES */ /* newcomers do not care who starves */
/* must fail: -DFAULT=13 -DBYPASS -DDEADLINES */ /* a giver does not look how long the oldest has waited */
/* must fail: -DFAULT=14 */ /* a giver touches the mutex after it has given (I5) */
/* must fail: -DFAULT=15 -DBYPASS -DDEADLINES */ /* who gives up ends the starving of others (I8) */
/* must fail: -DFAULT=16 */ /* the task does not wait for its alarm to be silent (park's I7) */
/* must fail: -DFAULT=17 */ /* a select takes although it has been claimed */
/* must fail: -DFAULT=18 */ /* a select unlocks the queues before it has left them */

/* not in the code: try_or_stand withdraw suspend watch_stop count_passes release give_up destroy */

#ifndef FAULT
#define FAULT 0
#endif
#define BOUND 1 /* how many newcomers may pass a starving waiter, a flight counting once */

#ifdef DEADLINES
#define MAY_TIME_OUT true
#else
#define MAY_TIME_OUT false
#endif

#ifdef BYPASS
#define PATIENCE true
#else
#define PATIENCE false
#endif

#define THREAD 0
#define TASK 1
#define SELECT 2
#define N 3
#define NONE 3
#define NEVER 7
#define OLD(i) (since[i] < old_before)

mtype = { idle, arming, parked, suspended, claimed, claimed_suspended, woken, timed_out, stopped };
mtype = { newcomer, after_wake, recheck };
mtype = { silent, current, stale }; /* the task's deadline: the clock is about to end this attempt, or an earlier one */

/* The mutex: its word and its queue. */
bool held = true;
bool waiters, starving, in_flight, in_flight_task, looked;
bool alive = true;
byte queue[N];
byte length;
bool queued[N];
bool mixed;
byte references = N + 1;

/* The other object that the select waits for. */
bool permit;
bool other_queued;
bool other_alive = true;
byte other_references = 2;

/* The slots. */
mtype phase[N] = idle;
byte since[N] = NEVER; /* the order in which they came */
byte begun;
bool rechecks[N];  /* looks again by itself */
bool rechecked[N]; /* has done so in vain: not again, lest a stranded neighbour goes unnoticed */
bool stop_requested[N];
bool stop_watched[N];
bool stop_running[N];

/* The task. */
bool busy = true;
byte posts;
mtype ring = silent;
bool overdue, firing;

byte inside = 1;
/* Bypassing. */
byte old_before; /* those who came earlier have been passed over for long */
byte passed[N];  /* by how many newcomers since then */
bool counted[N]; /* this flight has been counted */

#define OPEN(p) (p == arming || p == parked || p == suspended)
#define ENDED(p) (p == woken || p == timed_out || p == stopped)
#define TOUCH assert(alive)
#define UNATTENDED (waiters && !in_flight)
#define FIRST (length > 0 -> queue[0] : NONE)

/* --- park/queue.cpp; all under the queue's lock --- */

inline link_before(i, at) {
  mixed = mixed || (length > 0 && ((i == TASK) != (queue[0] == TASK)));
  k = length;
  do :: k > at -> queue[k] = queue[k - 1]; k-- :: else -> break od;
  queue[at] = i; length++; queued[i] = true; k = 0
}

inline push_back(i) { link_before(i, length) }

inline push_by_age(i) {
  j = 0;
  do :: j < length && since[queue[j]] <= since[i] -> j++ :: else -> break od;
  link_before(i, j); j = 0
}

inline remove(i) {
  if
  :: queued[i] ->
     k = 0;
     do :: queue[k] != i -> k++ :: else -> break od;
     length--; queued[i] = false;
     do :: k < length -> queue[k] = queue[k + 1]; k++ :: else -> break od;
     queue[length] = 0; k = 0;
     mixed = mixed && length > 0
  :: else
  fi
}

/* --- park/wait.cpp --- */

inline begin_wait(i) {
  atomic { assert(phase[i] == idle); phase[i] = arming }
}

inline rearm_wait(i) {
  atomic {
    assert(ENDED(phase[i]));
    phase[i] = arming;
    if :: i == TASK && ring == current -> ring = stale :: else fi
  }
}

inline end_wait(i) {
  atomic {
    assert(phase[i] == arming || ENDED(phase[i]));
    phase[i] = idle;
    if :: i == TASK && ring == current -> ring = stale :: else fi;
    since[i] = NEVER; passed[i] = 0; counted[i] = false; rechecks[i] = false; rechecked[i] = false
  }
}

inline claim(i) {
  assert(OPEN(phase[i]));
  phase[i] = (phase[i] == arming -> claimed : claimed_suspended)
}

inline publish(i) {
  assert(phase[i] == claimed || phase[i] == claimed_suspended);
  if
  :: i == TASK && (phase[i] == claimed_suspended || FAULT == 10) -> posts++; assert(posts == 1)
  :: else
  fi;
  phase[i] = woken
}

inline cancel_from(i, result) {
  if
  :: OPEN(phase[i]) || (FAULT == 5 && phase[i] == claimed) ->
     if :: phase[i] == suspended -> posts++; assert(posts == 1) :: else fi;
     phase[i] = result
  :: else
  fi
}

inline suspend() {
  atomic { /* commit */
    if
    :: phase[TASK] == arming -> phase[TASK] = suspended
    :: phase[TASK] == claimed -> if :: FAULT != 9 -> phase[TASK] = claimed_suspended :: else fi
    :: else -> goto awake
    fi;
    busy = false
  }
  atomic { posts > 0 && !busy -> posts--; busy = true; assert(ENDED(phase[TASK])) }
awake:
  assert(posts == 0)
}

#define GETS_NOWHERE(i) !(queued[i] && FIRST == i && !held)

inline watch_stop(i) {
  atomic {
    stop_watched[i] = true;
    if :: stop_requested[i] && !stop_running[i] -> cancel_from(i, stopped) :: else fi
  }
}

inline park(i, may_time_out) {
#ifdef STOPS
  watch_stop(i);
#endif
  atomic {
    if
    :: phase[i] == arming -> phase[i] = parked; assert(!(i == SELECT && permit))
    :: phase[i] == claimed -> phase[i] = claimed_suspended
    :: else
    fi
  }
  if
  :: ENDED(phase[i])
  :: atomic { phase[i] == parked && may_time_out -> cancel_from(i, timed_out); rechecks[i] = false }
  :: atomic { phase[i] == parked && rechecks[i] && !(rechecked[i] && GETS_NOWHERE(i)) ->
       if :: GETS_NOWHERE(i) -> rechecked[i] = true :: else fi;
       cancel_from(i, timed_out)
     }
  fi;
#ifdef STOPS
  atomic { !stop_running[i] -> stop_watched[i] = false }
#endif
}

/* expect_soon */
inline expect_soon(i) { assert(i == TASK && !overdue); overdue = true }

inline silence() { atomic { !firing || FAULT == 16 -> overdue = false } }

/* --- sync/internal/turnstile.hpp --- */

inline choose(giving) {
  atomic {
    TOUCH;
    assert(chosen == NONE);
    k = 0;
    if
    :: giving || !held ->
       do :: k < length && !OPEN(phase[queue[k]]) -> k++ :: else -> break od;
       if
       :: k < length -> chosen = queue[k]; claim(chosen); unsure = chosen == TASK && mixed; remove(chosen)
       :: else
       fi
    :: else
    fi;
    k = (chosen != NONE -> chosen : FIRST);
    if :: PATIENCE && k != NONE && !OLD(k) -> if :: old_before = since[k] + 1 :: skip fi :: else fi;
    if :: k != NONE && OLD(k) && FAULT != 13 -> starving = true :: else fi;
    k = 0;
    waiters = waiters && length > 0;
    if
    :: chosen == NONE -> looked = looked || (giving && length > 0)
    :: else ->
       looked = false;
       in_flight = !unsure; in_flight_task = !unsure && (in_flight_task || chosen == TASK)
    fi;
    unsure = false;
    others_wait = UNATTENDED
  }
}

inline wake_one() {
  choose(false);
  if :: chosen == TASK && others_wait && FAULT != 7 -> expect_soon(chosen) :: else fi;
  atomic { others_wait = false; if :: chosen != NONE -> publish(chosen); chosen = NONE :: else fi }
}

inline give() {
  do
  :: atomic { alive && UNATTENDED && chosen == NONE && !(has_looked && looked) -> has_looked = true }
     choose(true);
     others_wait = false;
     if :: FAULT == 8 && chosen != NONE -> atomic { publish(chosen) } :: else fi
  :: atomic { alive && UNATTENDED && chosen == TASK && !watched && FAULT != 7 -> expect_soon(chosen); watched = true }
  :: atomic { else -> TOUCH; assert(held); held = false; looked = false; break }
  od;
  if :: FAULT == 14 -> TOUCH :: else fi;
  atomic {
    if :: chosen != NONE && FAULT != 8 -> publish(chosen) :: else fi;
    chosen = NONE; has_looked = false; watched = false
  }
}

inline take_out(i) {
  remove(i);
  if
  :: length == 0 -> waiters = false; if :: !in_flight || FAULT == 6 -> starving = false :: else fi
  :: else
  fi
}

/* What an agent does to the word and the queue when it tries. */
inline try_or_stand(i) {
  looked = false; counted[i] = false;
  barred = (how == newcomer && starving && FAULT != 12) || (how == recheck && FIRST != i);
  took = !barred && !held;
  if :: how == after_wake -> in_flight = false; in_flight_task = false :: else fi;
  if
  :: took ->
     held = true; inside++; assert(inside == 1);
     if :: how != newcomer -> starving = false :: else fi;
     if :: how == recheck -> take_out(i) :: else fi
  :: else ->
     waiters = true;
     if :: how == newcomer && in_flight_task -> in_flight = false :: else fi;
     rechecks[i] = barred || starving;
     passes_on = how == recheck && barred && !held;
     if
     :: how == newcomer -> since[i] = begun; begun++; push_back(i)
     :: how == after_wake -> push_by_age(i)
     :: else
     fi
  fi;
  barred = false
}

inline take_or_enqueue(i) {
  atomic {
    TOUCH;
    if
    :: how == recheck && !queued[i] -> rechecks[i] = false; took = false
    :: else -> try_or_stand(i)
    fi
  }
  if :: passes_on -> passes_on = false; wake_one() :: else fi
}

inline withdraw(i) {
  passed[i] = 0;
  take_out(i);
  if :: FAULT == 15 -> starving = false :: else fi;
  looked = false
}

inline leave(i) {
  atomic { TOUCH; withdraw(i) }
  wake_one()
}

inline count_passes() {
  k = 0;
  do
  :: k < N ->
     if
     :: OLD(k) && !(phase[k] == timed_out || phase[k] == stopped) && !counted[k] ->
        passed[k]++; assert(passed[k] <= BOUND);
        counted[k] = !(queued[k] && OPEN(phase[k]))
     :: else
     fi;
     k++
  :: else -> k = 0; break
  od
}

inline destroy() {
  atomic {
    TOUCH;
    assert(!held && !waiters && !starving && !in_flight && !in_flight_task && !looked && length == 0);
    alive = false
  }
}

inline release() {
  atomic { inside--; references--; last = references == 0 }
  give();
  if :: last -> destroy() :: else fi
}

inline give_up() { atomic { references-- } }

#define LOCALS \
  byte k, j, chosen = NONE; \
  bool unsure, others_wait, has_looked, watched, took, barred, passes_on, last; \
  mtype how = newcomer

/* A worker of the executor that the task needs. */
proctype thread() {
  LOCALS;
  #ifndef BYPASS
  atomic { !busy -> busy = true }
#endif
  begin_wait(THREAD);
  do
  :: take_or_enqueue(THREAD);
     if :: took -> break :: else fi;
     park(THREAD, false);
     if
     :: phase[THREAD] == woken -> how = after_wake
     :: phase[THREAD] == timed_out -> how = recheck
     :: else -> leave(THREAD); break
     fi;
     rearm_wait(THREAD)
  od;
  atomic { end_wait(THREAD); how = newcomer }
  if :: took -> took = false; release() :: else -> give_up() fi;
#ifndef BYPASS
  busy = false
#endif
}

proctype task() {
  LOCALS;
  begin_wait(TASK);
#ifdef STOPS
  watch_stop(TASK);
#endif
  do
  :: take_or_enqueue(TASK);
     if :: took -> break :: else fi;
     suspend();
     silence();
     if
     :: phase[TASK] == woken -> how = after_wake
     :: phase[TASK] == timed_out && rechecks[TASK] -> how = recheck
     :: else -> leave(TASK); break
     fi;
     rearm_wait(TASK);
#ifdef STOPS
     atomic { if :: stop_requested[TASK] -> cancel_from(TASK, stopped) :: else fi }
#endif
  od;
#ifdef STOPS
  atomic { !stop_running[TASK] -> stop_watched[TASK] = false }
#endif
  silence();
  atomic { end_wait(TASK); how = newcomer }
  if :: took -> took = false; release() :: else -> give_up() fi;
  busy = false
}

proctype selector() {
  LOCALS;
  bool took_other;
again:
  begin_wait(SELECT);
  do
  :: /* under the locks of both queues */
     atomic {
       TOUCH; assert(other_alive);
       if
       :: (phase[SELECT] == claimed || phase[SELECT] == woken) && FAULT != 17 -> skip
       :: else ->
          if
          :: permit && !(FAULT == 4 && how == after_wake) ->
             permit = false; took_other = true;
             if :: how == after_wake -> in_flight = false; in_flight_task = false :: else fi; /* the mutex's wake is not used, see below */
             if :: FAULT != 18 -> withdraw(SELECT) :: else fi
          :: else -> try_or_stand(SELECT)
          fi;
          if :: !took && !took_other -> other_queued = true :: FAULT != 3 && (took || took_other) -> other_queued = false :: else fi
       fi
     }
     if :: passes_on -> passes_on = false; wake_one() :: else fi;
     if
     :: took_other -> if :: FAULT == 18 -> leave(SELECT) :: FAULT != 2 && FAULT != 18 -> wake_one() :: else fi; break
     :: took -> break
     :: else
     fi;
    park(SELECT, MAY_TIME_OUT);
     if
     :: phase[SELECT] == woken && !queued[SELECT] -> how = after_wake
     :: phase[SELECT] == woken && queued[SELECT] -> how = recheck
     :: phase[SELECT] == timed_out && rechecks[SELECT] -> how = recheck
     :: else -> atomic { assert(other_alive); other_queued = false } leave(SELECT); break
     fi;
     rearm_wait(SELECT)
  od;
#ifdef BYPASS
  if
  :: !took ->
     atomic {
       end_wait(SELECT);
       begun = (since[THREAD] != NEVER -> since[THREAD] + 1 : 0);
       old_before = (old_before < begun -> old_before : begun);
       how = newcomer;
       if :: goto again :: skip fi
     }
  :: else
  fi;
#endif
  atomic {
    if :: phase[SELECT] != idle -> end_wait(SELECT) :: else fi;
    how = newcomer;
    took_other = false;
    other_references--;
    if :: other_references == 0 -> assert(!other_queued); other_alive = false :: else fi
  }
  if :: took -> took = false; release() :: else -> give_up() fi
}

/* Lets one pass the other object. */
proctype other_giver() {
  bool claims;
  atomic {
    assert(other_alive);
    permit = true;
    if :: other_queued && (OPEN(phase[SELECT]) || FAULT == 1) -> claim(SELECT); other_queued = false; claims = true :: else fi;
    other_references--;
    if :: other_references == 0 -> assert(!other_queued); other_alive = false :: else fi
  }
  if :: claims -> atomic { publish(SELECT) } :: else fi
}

/* Holds the mutex at first. */
proctype holder() {
  LOCALS;
#ifdef BYPASS
  do
  :: inside--; give();
     if
     :: atomic { alive && !held && (!starving || FAULT == 12) -> held = true; inside++; assert(inside == 1); count_passes() }
     :: give_up(); break
     fi
  :: release(); break
  od
#else
  release()
#endif
}

proctype stopper() {
  byte who;
  if :: who = THREAD :: who = TASK :: who = SELECT fi;
  stop_requested[who] = true;
  atomic { if :: stop_watched[who] -> stop_running[who] = true :: else -> goto out fi }
  atomic { cancel_from(who, stopped); stop_running[who] = false }
out:
  skip
}

/* Rings for the task: its deadline, its recheck, and when it is late (not_seen_yet, wake_next_of). */
proctype clock() {
  LOCALS;
  bool deadline = MAY_TIME_OUT;
end:
  do
  :: atomic { ring == silent && phase[TASK] != idle && deadline -> ring = current; deadline = false }
     atomic { if :: ring == current -> cancel_from(TASK, timed_out); rechecks[TASK] = false :: else fi; ring = silent }
  :: atomic { ring == silent && OPEN(phase[TASK]) && rechecks[TASK] && !(rechecked[TASK] && GETS_NOWHERE(TASK)) ->
       if :: GETS_NOWHERE(TASK) -> rechecked[TASK] = true :: else fi;
       ring = current }
     atomic { if :: ring == current -> cancel_from(TASK, timed_out) :: else fi; ring = silent }
  :: atomic { overdue && phase[TASK] == woken -> overdue = false; firing = true }
     wake_one();
     firing = false
  od
}

init {
  atomic {
    run thread(); run selector(); run holder();
#ifndef BYPASS
    run task(); run other_giver(); run clock();
#endif
#ifdef STOPS
    run stopper()
#endif
  }
}
