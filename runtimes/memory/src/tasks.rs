//! Tasks, run in the order in which they were woken.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

/// A task's future.
pub(crate) type Task = Pin<Box<dyn Future<Output = ()>>>;

/// The tasks of a world.
#[derive(Default)]
pub(crate) struct Tasks {
    slots: RefCell<Vec<Slot>>,
    free: RefCell<Vec<usize>>,
    n: Cell<usize>,
    woken: Arc<Woken>,
}

struct Slot {
    /// `None` while it is polled, and when it is over.
    task: Option<Task>,
    waker: Waker,
}

/// Which tasks were woken. Wakers may be sent away, so it has a lock; nothing panics under it.
#[derive(Default)]
struct Woken {
    queue: Mutex<VecDeque<usize>>,
}

struct TaskWaker {
    slot: usize,
    woken: Arc<Woken>,
}

impl Woken {
    fn push(&self, slot: usize) {
        let mut queue = self.queue.lock().expect("never poisoned");
        if !queue.contains(&slot) {
            queue.push_back(slot);
        }
    }

    fn pop(&self) -> Option<usize> {
        self.queue.lock().expect("never poisoned").pop_front()
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.push(self.slot);
    }
}

impl Tasks {
    pub(crate) fn len(&self) -> usize {
        self.n.get()
    }

    pub(crate) fn spawn(&self, task: Task) {
        self.n.set(self.n.get() + 1);
        let mut slots = self.slots.borrow_mut();
        let slot = match self.free.borrow_mut().pop() {
            Some(slot) => {
                slots[slot].task = Some(task);
                slot
            }
            None => {
                let slot = slots.len();
                let waker = Waker::from(Arc::new(TaskWaker { slot, woken: Arc::clone(&self.woken) }));
                slots.push(Slot { task: Some(task), waker });
                slot
            }
        };
        self.woken.push(slot);
    }

    /// Polls woken tasks until none is, or `n` times. Returns how many times.
    pub(crate) fn turn(&self, n: usize) -> usize {
        for n_polled in 0..n {
            let Some(slot) = self.woken.pop() else { return n_polled };
            self.poll(slot);
        }
        n
    }

    fn poll(&self, slot: usize) {
        let taken = {
            let mut slots = self.slots.borrow_mut();
            slots[slot].task.take().map(|task| (task, slots[slot].waker.clone()))
        };
        let Some((mut task, waker)) = taken else { return };
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            self.slots.borrow_mut()[slot].task = Some(task);
            return;
        }
        drop(task);
        self.n.set(self.n.get() - 1);
        self.free.borrow_mut().push(slot);
    }

    /// Drops all tasks, those too that their destructors start.
    pub(crate) fn clear(&self) {
        loop {
            let tasks: Vec<_> = self.slots.borrow_mut().iter_mut().filter_map(|slot| slot.task.take()).collect();
            if tasks.is_empty() {
                break;
            }
        }
        self.n.set(0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use loopswap_rt::{Connection as _, Start as _, Worker, offload, sleep, spawn_local};

    use crate::{Memory, World, pair};

    #[test]
    fn time_passes_by_hand_and_nothing_is_left() {
        let world = World::enter();
        let start = world.now();
        world.spawn(async move {
            sleep(Duration::from_secs(3)).await;
            sleep(Duration::from_secs(4)).await;
            assert_eq!(loopswap_rt::now() - start, Duration::from_secs(7));
        });
        world.pass(Duration::from_millis(6999));
        assert_eq!((world.n_tasks(), world.n_timers()), (1, 1));
        world.pass(Duration::from_millis(1));
        assert_eq!((world.n_tasks(), world.n_timers()), (0, 0));
    }

    #[test]
    fn a_world_that_ends_drops_its_tasks() {
        let world = World::enter();
        let (mut connection, peer) = pair();
        world.spawn(async move {
            let _ = connection.receive(<[u8]>::len).await;
            sleep(Duration::from_secs(1)).await;
        });
        world.turn();
        assert!(!peer.is_finished());
        drop(world);
        assert!(peer.is_finished());
        drop(World::enter());
    }

    #[test]
    fn a_socket_takes_as_much_as_it_is_told() {
        let world = World::enter();
        let (mut connection, peer) = pair();
        peer.set_room(3);
        world.spawn(async move {
            let (result, buffer) = connection.send(b"hello".to_vec()).await;
            assert!(result.is_ok() && buffer.is_empty());
        });
        world.turn();
        assert_eq!((peer.take(), world.n_tasks()), (b"hel".to_vec(), 1));
        peer.set_room(9);
        world.turn();
        assert_eq!((peer.take(), world.n_tasks(), peer.is_finished()), (b"lo".to_vec(), 0, true));
    }

    #[test]
    fn it_runs_a_main_as_the_other_loops_do() {
        let main = || async {
            let task = spawn_local(async {
                sleep(Duration::from_secs(3600)).await;
                offload(|| 20).await
            });
            task.await.map(|n| n + 1)
        };
        assert_eq!(Memory.run(&Worker::new(0), main), Ok(Ok(21)));
    }
}
