//! Which events are asked for of code that waits until compiling it is affordable.
//!
//! An event costs the interpreter some 25 nanoseconds, as much as a short function's call takes. What is called often therefore isn't listened
//! to for a while, and counted as if it had gone on at the rate that was seen. Nothing wakes the JIT when that while is over but other events: a
//! site rests only where, since it was looked at before, another one has been heard of. (Should a single call in C then begin to call what rests,
//! and nothing else run in Python, it stays interpreted until that call is over.)

use crate::engine::{ByAddress, Engine};
use crate::ffi::{self, Object};
use crate::policy::until_asked_again;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// An instruction that raises events: the start of a code object (by address), or a backward jump of it (by code unit).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Site {
    pub(crate) code: usize,
    /// Of a jump: its code unit, and the loop's header.
    pub(crate) jump: Option<(u32, u32)>,
}

impl Site {
    /// The start of a code object.
    pub(crate) fn start(code: Object) -> Site {
        Site { code: code as usize, jump: None }
    }

    /// A jump from one code unit back to another.
    pub(crate) fn jump(code: Object, from: u32, to: u32) -> Site {
        Site { code: code as usize, jump: Some((from, to)) }
    }

    /// By what the C side knows those who wait.
    fn header(self) -> i64 {
        self.jump.map_or(ffi::WAIT_START, |(_, to)| to.into())
    }
}

/// Events that are further apart cost nothing to speak of.
const SELDOM: Duration = Duration::from_micros(50);

/// For how long a site rests at least, and at most.
const REST: Duration = Duration::from_millis(1);
const LONG_REST: Duration = Duration::from_millis(20);

/// For how long events of a site that doesn't rest aren't looked at.
const UNSEEN: Duration = Duration::from_micros(500);

/// Over how many events a rate is measured first, and after a rest.
const FIRST_EVENTS: u64 = 64;
const WAKING_EVENTS: u64 = 8;

/// Over how many events the rate is taken at most: a program changes what it does.
const REMEMBERED: u64 = 4096;

/// What is known of a site's events.
#[derive(Debug)]
struct Heard {
    /// Since when the events are counted that haven't been looked at, and how many these are.
    since: Instant,
    unseen: u64,
    /// How long it has rested since events that were missed were last counted.
    rested: Duration,
    /// Whether it rests.
    resting: bool,
    /// For how long it has been listened to so far, and how many events there were in that time.
    listened: Duration,
    events: u64,
}

impl Heard {
    /// A site is heard of for the first time.
    fn new(now: Instant) -> Heard {
        Heard { since: now, unseen: 0, rested: Duration::ZERO, resting: false, listened: Duration::ZERO, events: 0 }
    }

    /// It has been looked at, and isn't until there have been so many events more.
    fn look_away(&mut self, unseen: u64, now: Instant) {
        if now > self.since {
            self.listened += now - self.since;
            self.events += self.unseen + 1;
        }
        if self.events > REMEMBERED {
            self.listened /= 2;
            self.events /= 2;
        }
        (self.since, self.unseen) = (now, unseen);
    }

    /// How long it takes from one event to the next.
    fn every(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since) / u32::try_from(self.unseen + 1).unwrap_or(u32::MAX)
    }

    /// How many events there are likely to have been while it rested. Events come in bursts: what counts is the rate over all of the time in
    /// which it was listened to, not over the last few of them.
    fn missed(&self, now: Instant) -> u64 {
        let listened = self.listened + now.saturating_duration_since(self.since);
        let events = u128::from(self.events + self.unseen + 1);
        (self.rested.as_nanos() * events / listened.as_nanos().max(1)) as u64
    }
}

/// What to do with a site that waits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Look at it again after so many events.
    After(u64),
    /// Raise no events until [`Listening::over`] names it.
    Rest,
}

/// All sites that wait.
#[derive(Debug, Default)]
pub(crate) struct Listening {
    /// By code object.
    sites: ByAddress<Vec<(Site, Heard)>>,
    /// Sites that rest, by the end of the rest.
    rests: BinaryHeap<Reverse<(Instant, Site)>>,
    /// Whether no site may rest.
    restless: bool,
    /// The last two sites that were heard of and don't rest.
    audible: [Option<(Site, Instant)>; 2],
}

impl Listening {
    /// Nothing waits yet. `restless`: what raises no events for a while may not raise any afterwards, as CPython's own JIT may have compiled
    /// it, or inlined it, meanwhile.
    pub(crate) fn new(restless: bool) -> Listening {
        Listening { restless, ..Listening::default() }
    }

    fn heard(&mut self, site: Site) -> Option<&mut Heard> {
        self.sites.get_mut(&site.code)?.iter_mut().find(|(of, _)| *of == site).map(|(_, heard)| heard)
    }

    /// From now on a site isn't looked at until there have been so many events more.
    fn look_away(&mut self, site: Site, unseen: u64, now: Instant) -> &mut Heard {
        let sites = self.sites.entry(site.code).or_default();
        let place = sites.iter().position(|(of, _)| *of == site).unwrap_or_else(|| {
            sites.push((site, Heard::new(now)));
            sites.len() - 1
        });
        let heard = &mut sites[place].1;
        heard.look_away(unseen, now);
        heard
    }

    /// A site is heard of: how many events of it there were meanwhile that nobody has counted.
    pub(crate) fn missed(&mut self, site: Site, now: Instant) -> u64 {
        let Some(heard) = self.heard(site) else { return 0 };
        let missed = heard.missed(now);
        heard.rested = Duration::ZERO;
        missed
    }

    /// Compiling is too dear for a site that has raised so many events: when to look at it again. What was `tried` in vain waits for a good deal
    /// more of them.
    pub(crate) fn verdict(&mut self, site: Site, count: u64, tried: bool, now: Instant) -> Verdict {
        let known = self.heard(site).map(|heard| (heard.since, heard.every(now)));
        self.audible = match self.audible {
            [last, before] if last.is_some_and(|(of, _)| of == site) => [Some((site, now)), before],
            [last, _] => [Some((site, now)), last],
        };
        let events = until_asked_again(count);
        let Some((since, every)) = known else { return Verdict::After(events.min(FIRST_EVENTS)) };
        if tried {
            return Verdict::After(events);
        }
        let other_audible = self.audible[1].is_some_and(|(_, at)| at > since);
        if self.restless || every >= SELDOM || !other_audible {
            let unseen = UNSEEN.as_nanos() / every.as_nanos().max(1);
            return Verdict::After(events.min(unseen as u64));
        }
        self.audible = [self.audible[1], None];
        let rested = every.saturating_mul(u32::try_from(events).unwrap_or(u32::MAX)).clamp(REST, LONG_REST);
        self.look_away(site, 0, now).resting = true;
        self.rests.push(Reverse((now + rested, site)));
        Verdict::Rest
    }

    /// So many events of the site won't be looked at.
    pub(crate) fn unseen(&mut self, site: Site, events: u64, now: Instant) {
        self.look_away(site, events, now);
    }

    /// A site whose rest is over: it's to raise events again.
    pub(crate) fn over(&mut self, now: Instant) -> Option<Site> {
        loop {
            let Reverse((end, site)) = *self.rests.peek()?;
            if end > now {
                return None;
            }
            self.rests.pop();
            // It may have left meanwhile, or come back by itself.
            if self.heard(site).is_some_and(|heard| heard.resting) {
                return Some(site);
            }
        }
    }

    /// A site raises events again: the first ones aren't looked at.
    pub(crate) fn wake(&mut self, site: Site, unseen: u64, now: Instant) {
        if let Some(heard) = self.heard(site) {
            heard.rested += now.saturating_duration_since(heard.since);
            (heard.since, heard.unseen, heard.resting) = (now, unseen, false);
        }
    }

    /// A site can't raise events for now: it rests on.
    pub(crate) fn rest_on(&mut self, site: Site, now: Instant) {
        self.rests.push(Reverse((now + LONG_REST, site)));
    }

    /// A site no longer waits.
    pub(crate) fn leave(&mut self, site: Site) {
        if let Some(sites) = self.sites.get_mut(&site.code) {
            sites.retain(|(of, _)| *of != site);
        }
        for place in &mut self.audible {
            *place = place.filter(|(of, _)| *of != site);
        }
    }

    /// Everyone is to be listened to again.
    pub(crate) fn end_rests(&mut self, now: Instant) {
        self.rests = self.rests.drain().map(|Reverse((_, site))| Reverse((now, site))).collect();
    }

    /// A code object is going away.
    pub(crate) fn forget(&mut self, code: usize) {
        self.sites.remove(&code);
        for place in &mut self.audible {
            *place = place.filter(|(site, _)| site.code != code);
        }
    }

    /// Whether any site rests.
    pub(crate) fn any_rests(&self) -> bool {
        !self.rests.is_empty()
    }
}

impl Engine {
    /// So many events of the code, or of this loop of it, won't be reported: to be counted now. Of what leaves its place to that and hasn't raised
    /// all of its events the rest is counted no more.
    pub(crate) fn wait(&mut self, code: Object, header: i64, events: u64) -> u64 {
        let mut given_up = ffi::GivenUp { code: std::ptr::null_mut(), header: 0, events: 0 };
        // SAFETY: a live code object; no more than its address is kept.
        let unseen = unsafe { ffi::pepjit_wait(code, header, events, &raw mut given_up) };
        if given_up.events > 0 {
            let code = given_up.code as usize;
            let count = match u32::try_from(given_up.header) {
                Ok(header) => self.jumps.get_mut(&code).and_then(|loops| loops.get_mut(&header)),
                Err(_) => self.calls.get_mut(&code).map(|profile| &mut profile.count),
            };
            if let Some(count) = count {
                *count = count.saturating_sub(given_up.events);
            }
        }
        unseen
    }

    /// How many events of a site have been counted.
    fn count_of(&mut self, site: Site) -> &mut u64 {
        match site.jump {
            None => &mut self.calls.entry(site.code).or_default().count,
            Some((_, to)) => self.rounds_of(site.code, to),
        }
    }

    /// How often a loop has gone round.
    pub(crate) fn rounds_of(&mut self, code: usize, header: u32) -> &mut u64 {
        self.jumps.entry(code).or_default().entry(header).or_default()
    }

    /// Compiling is too dear for a site, or was tried in vain for that reason: when it's heard of again.
    pub(crate) fn wait_for_budget(&mut self, site: Site, tried: bool) -> Verdict {
        let (count, now) = (*self.count_of(site), Instant::now());
        let verdict = self.listening.verdict(site, count, tried, now);
        match verdict {
            Verdict::Rest => self.counters.rests += 1,
            Verdict::After(events) => {
                let unseen = self.wait(site.code as Object, site.header(), events);
                self.listening.unseen(site, unseen, now);
                *self.count_of(site) += unseen;
            }
        }
        verdict
    }

    /// Listens to everyone again: something that was heard of may not be heard of any more.
    pub(crate) fn end_rests(&mut self) {
        if self.listening.any_rests() {
            self.listening.end_rests(Instant::now());
            self.wake_rested();
        }
    }

    /// Listens again to what has rested for long enough. Called wherever something is heard of.
    pub(crate) fn wake_rested(&mut self) {
        if !self.listening.any_rests() {
            return;
        }
        let now = Instant::now();
        while let Some(site) = self.listening.over(now) {
            let (code, jump) = (site.code as Object, site.jump.map_or(ffi::WAIT_START, |(from, _)| from.into()));
            // SAFETY: the code object is alive: its end is reported, and takes its sites away.
            if unsafe { ffi::pepjit_listen_again(code, jump) } == 0 {
                self.listening.rest_on(site, now);
                continue;
            }
            let unseen = self.wait(code, site.header(), WAKING_EVENTS);
            *self.count_of(site) += unseen;
            self.listening.wake(site, unseen, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOUD: Site = Site { code: 1, jump: None };
    const QUIET: Site = Site { code: 2, jump: Some((40, 10)) };

    fn after(start: Instant, micros: u64) -> Instant {
        start + Duration::from_micros(micros)
    }

    /// Has a site raise an event every microsecond up to `micros`, and looks at it after 999 of them.
    fn loud(listening: &mut Listening, start: Instant, micros: u64, others: &[u64]) -> Verdict {
        let first = micros - 1000;
        let Verdict::After(_) = listening.verdict(LOUD, 8000, false, after(start, first)) else { panic!("no rate is known") };
        listening.unseen(LOUD, 999, after(start, first));
        for at in others {
            listening.verdict(QUIET, 500, false, after(start, *at));
        }
        listening.verdict(LOUD, 8000, false, after(start, micros))
    }

    #[test]
    fn what_is_called_often_rests_while_another_is_heard_of() {
        let start = Instant::now();
        assert_eq!(loud(&mut Listening::default(), start, 3000, &[]), Verdict::After(500), "nobody would wake it");
        let mut listening = Listening::default();
        listening.verdict(QUIET, 500, false, after(start, 1999));
        assert_eq!(loud(&mut listening, start, 3000, &[]), Verdict::After(500), "the other one has fallen silent");
        let mut listening = Listening::default();
        assert_eq!(loud(&mut listening, start, 3000, &[2500]), Verdict::Rest);
        assert_eq!(listening.over(after(start, 4999)), None);
        assert_eq!(listening.over(after(start, 5000)), Some(LOUD), "after a quarter of its events");
        assert!(!listening.any_rests());
    }

    #[test]
    fn what_was_tried_in_vain_waits_for_a_good_deal_more() {
        let start = Instant::now();
        let mut listening = Listening::default();
        loud(&mut listening, start, 3000, &[2500]);
        assert_eq!(listening.verdict(LOUD, 8000, true, after(start, 3001)), Verdict::After(2000));
    }

    #[test]
    fn one_of_two_goes_on_raising_events() {
        let start = Instant::now();
        let mut listening = Listening::default();
        assert_eq!(loud(&mut listening, start, 3000, &[2400, 2401]), Verdict::Rest);
        listening.unseen(QUIET, 99, after(start, 2401));
        assert_eq!(listening.verdict(QUIET, 800, false, after(start, 2501)), Verdict::After(200), "it alone is heard of");
    }

    #[test]
    fn events_during_a_rest_are_counted_at_the_rate_seen_after_it() {
        let start = Instant::now();
        let mut listening = Listening::default();
        assert_eq!(loud(&mut listening, start, 3000, &[2500]), Verdict::Rest);
        let site = listening.over(after(start, 5000)).expect("its rest is over");
        listening.wake(site, WAKING_EVENTS, after(start, 5000));
        assert_eq!(listening.missed(LOUD, after(start, 5009)), 2000, "one a microsecond");
        assert_eq!(listening.missed(LOUD, after(start, 5009)), 0, "once");
    }

    #[test]
    fn what_is_called_no_more_after_its_rest_has_missed_nothing() {
        let start = Instant::now();
        let mut listening = Listening::default();
        assert_eq!(loud(&mut listening, start, 3000, &[2500]), Verdict::Rest);
        listening.over(after(start, 5000)).expect("its rest is over");
        listening.wake(LOUD, WAKING_EVENTS, after(start, 5000));
        assert!(listening.missed(LOUD, after(start, 900_000)) < 4);
    }

    #[test]
    fn all_rests_can_be_ended() {
        let start = Instant::now();
        let mut listening = Listening::default();
        assert_eq!(loud(&mut listening, start, 3000, &[2500]), Verdict::Rest);
        listening.end_rests(after(start, 3100));
        assert_eq!(listening.over(after(start, 3100)), Some(LOUD));
    }

    #[test]
    fn what_has_gone_or_left_isn_t_woken() {
        let start = Instant::now();
        for gone in [true, false] {
            let mut listening = Listening::default();
            assert_eq!(loud(&mut listening, start, 3000, &[2500]), Verdict::Rest);
            if gone {
                listening.forget(LOUD.code);
            } else {
                listening.leave(LOUD);
            }
            assert_eq!(listening.over(after(start, 90_000)), None);
        }
    }
}
