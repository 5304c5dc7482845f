//! A method behind its interceptors: each runs the next, the last runs the method.

use std::fmt;
use std::future::poll_fn;
use std::ops::DerefMut;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tonic::Status;
use tonic::metadata::MetadataMap;

use super::{Intercepting, Interceptors};
use crate::grpc::{Answer, Held, Inbox, Kind, Origin, Request, Route, Running, TakesMany, Terms, Work};

/// The route with these in front of it.
pub(crate) fn intercepted(route: &Route, interceptors: &Interceptors) -> Route {
    if interceptors.0.is_empty() {
        return route.clone();
    }
    let chain = Rc::new(Chain { interceptors: interceptors.clone(), route: route.clone() });
    Route::TakesMany(Rc::new(Intercepted { chain }))
}

struct Chain {
    interceptors: Interceptors,
    route: Route,
}

/// A method that is run by its interceptors.
struct Intercepted {
    chain: Rc<Chain>,
}

impl TakesMany for Intercepted {
    fn kind(&self) -> Kind {
        self.chain.route.kind()
    }

    fn terms(&self) -> Option<&Terms> {
        self.chain.route.terms()
    }

    fn start(&self, inbox: Rc<Inbox>, origin: Origin, answer: &mut Answer) -> Work {
        let held = Held::new(answer.share());
        let next = Next { chain: Rc::clone(&self.chain), n_passed: 0, inbox, held: Rc::clone(&held) };
        Box::pin(Call { future: next.pass_on(Request::received((), origin)), held })
    }
}

/// A call under way.
struct Call {
    future: Intercepting,
    held: Rc<Held>,
}

impl Running for Call {
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>, _: &Answer) -> Poll<()> {
        let ending = ready!(self.future.as_mut().poll(cx));
        self.held.end(ending);
        Poll::Ready(())
    }
}

/// What an [`Interceptor`](crate::Interceptor) stands in front of: the interceptors behind it, and the method.
pub struct Next {
    chain: Rc<Chain>,
    /// Interceptors that have seen the call.
    n_passed: usize,
    inbox: Rc<Inbox>,
    held: Rc<Held>,
}

impl Next {
    /// Runs the rest, to the end of the method. Its messages are sent meanwhile; its end is what this returns: the trailers of an answer that went well.
    ///
    /// # Errors
    ///
    /// What the method, an interceptor behind this one, or a request that is broken ends the call with. INTERNAL for a request that was made by hand.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the method at once; messages that it has given are sent.
    pub async fn run(self, request: Request<()>) -> Result<MetadataMap, Status> {
        self.pass_on(request).await
    }

    /// What is sent ahead of the messages, besides the method's own metadata. An answer that fails has it, too.
    pub fn reply_metadata_mut(&mut self) -> impl DerefMut<Target = MetadataMap> {
        self.held.metadata().borrow_mut()
    }

    fn pass_on(mut self, request: Request<()>) -> Intercepting {
        let chain = Rc::clone(&self.chain);
        match chain.interceptors.0.get(self.n_passed) {
            Some(interceptor) => {
                self.n_passed += 1;
                Rc::clone(interceptor).intercept(request, self)
            }
            None => Box::pin(self.run_method(request)),
        }
    }

    async fn run_method(self, request: Request<()>) -> Result<MetadataMap, Status> {
        let Self { chain, inbox, held, .. } = self;
        let by_hand = || Status::internal("an interceptor passed a request on that is not the one it was given");
        let mut origin = request.into_origin().ok_or_else(by_hand)?;
        let mut answer = held.inner();
        let mut work = match &chain.route {
            Route::TakesOne(method) => {
                let decode_bytes_max = method.terms().limits.decode_bytes_max;
                let (message, encoding) = inbox.only_message(decode_bytes_max, origin.head.encoding()).await?;
                origin.encoding = encoding;
                method.start(&message, origin, &mut answer)?
            }
            Route::TakesMany(method) | Route::Tonic(method) | Route::Plain(method) => method.start(inbox, origin, &mut answer),
        };
        poll_fn(|cx| work.as_mut().poll(cx, &answer)).await;
        held.take_ending()
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").field("n_passed", &self.n_passed).finish_non_exhaustive()
    }
}
