//! The thread that computes.
//!
//! Some jobs are worked on at once, a step of each in turn, so that a short one does not wait for the end of a long
//! one; others wait. The thread waits for nobody: what it has made it puts where there is always room, since a job has
//! a bounded number of steps, and who does not fetch it holds up no other. A job whose asker has gone, or whose time
//! is over, is put away at its next step.

use std::{
    collections::VecDeque,
    sync::{mpsc, Arc},
    time::Instant,
};

use cairn_inference::{Generation, Order, Step};
use tokio::sync::{mpsc as answers, OwnedSemaphorePermit, Semaphore};

use super::Loaded;
use crate::error::Failure;

/// Jobs that are worked on at once: each holds keys and values of its text.
const AT_ONCE: usize = 4;

/// What an asker is told.
#[derive(Debug)]
pub enum Event {
    /// A step was made; the last one is [`Step::Done`].
    Step(Step),
    /// It cannot be done: why.
    Failed(String),
    /// Its time is over.
    Late,
}

/// Where jobs are handed in.
#[derive(Clone)]
pub struct Queue {
    jobs: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
}

/// A place in the queue for some jobs.
pub struct Places(OwnedSemaphorePermit);

struct Job {
    order: Order,
    until: Instant,
    events: answers::UnboundedSender<Event>,
    place: OwnedSemaphorePermit,
}

struct Active {
    generation: Generation,
    until: Instant,
    events: answers::UnboundedSender<Event>,
    place: OwnedSemaphorePermit,
}

impl Queue {
    /// Starts the thread, which ends when the last copy of this is gone. At most `room` jobs wait or are worked on.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(loaded: Arc<Loaded>, room: usize) -> Result<Queue, Failure> {
        Queue::over(loaded, Arc::new(Semaphore::new(room)))
    }

    /// The queue of another model. What was handed in to this one is done by its own model; both have the same places.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn beside(&self, loaded: Arc<Loaded>) -> Result<Queue, Failure> {
        Queue::over(loaded, self.room.clone())
    }

    fn over(loaded: Arc<Loaded>, room: Arc<Semaphore>) -> Result<Queue, Failure> {
        let (jobs, taken) = mpsc::channel();
        std::thread::Builder::new()
            .name("completions".into())
            .spawn(move || work(&loaded, &taken))?;
        Ok(Queue { jobs, room })
    }

    /// Places for that many jobs, if there are as many.
    pub fn places(&self, jobs: usize) -> Option<Places> {
        let jobs = u32::try_from(jobs).ok()?;
        let places = self.room.clone().try_acquire_many_owned(jobs);
        places.ok().map(Places)
    }

    /// Hands in a job that has to be done `until` then, and gives what is heard of it.
    pub fn hand_in(
        &self,
        places: &mut Places,
        order: Order,
        until: Instant,
    ) -> answers::UnboundedReceiver<Event> {
        let (events, heard) = answers::unbounded_channel();
        // Without a place, or without the thread, nothing is heard but the end.
        if let Some(place) = places.0.split(1) {
            let _ = self.jobs.send(Job {
                order,
                until,
                events,
                place,
            });
        }
        heard
    }
}

fn work(loaded: &Loaded, jobs: &mpsc::Receiver<Job>) {
    let mut active: VecDeque<Active> = VecDeque::new();
    loop {
        while active.len() < AT_ONCE {
            let next = match active.is_empty() {
                true => jobs.recv().ok(),
                false => jobs.try_recv().ok(),
            };
            match next {
                Some(job) => active.extend(begin(loaded, job)),
                // Nobody can hand in anything any more.
                None if active.is_empty() => return,
                None => break,
            }
        }
        if let Some(one) = active.pop_front() {
            active.extend(go_on(loaded, one));
        }
    }
}

fn begin(loaded: &Loaded, job: Job) -> Option<Active> {
    match Generation::new(&loaded.model, job.order) {
        Ok(generation) => Some(Active {
            generation,
            until: job.until,
            events: job.events,
            place: job.place,
        }),
        Err(error) => {
            end(job.place, &job.events, Event::Failed(error.to_string()));
            None
        }
    }
}

/// Makes a step, and gives the job back if there are more.
fn go_on(loaded: &Loaded, mut one: Active) -> Option<Active> {
    if one.events.is_closed() {
        return None;
    }
    let event = match Instant::now() < one.until {
        false => Event::Late,
        true => match one.generation.step(&loaded.model) {
            Ok(step @ Step::Done(_)) => Event::Step(step),
            Ok(step) => return one.events.send(Event::Step(step)).is_ok().then_some(one),
            Err(error) => Event::Failed(error.to_string()),
        },
    };
    end(one.place, &one.events, event);
    None
}

/// The last that is heard of a job. Its place is free before: who hears it may hand in the next.
fn end(place: OwnedSemaphorePermit, events: &answers::UnboundedSender<Event>, last: Event) {
    drop(place);
    let _ = events.send(last);
}
