//! The traits as their users implement them: that this file compiles without a warning is the test, for lifetimes and `Send` above all.
#![deny(warnings)]

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;

use futures_util::stream::{self, LocalBoxStream};
use loopswap::{LocalService, Request, Response, Router, Status, Stream, Streaming};
use loopswap_build_generated::kinds::{Counter, CounterServer, Number, OldNumber};
use loopswap_build_generated::{elsewhere, kinds, names, no_package, packages, renamed, well_known};

/// As in a program that uses little of what was generated, none of which is reachable from elsewhere.
mod unused {
    #![allow(unreachable_pub, reason = "prost's and tonic's code is `pub`")]
    loopswap::include_proto!("well_known");
}

type Answer<T> = Result<Response<T>, Status>;

/// A service with state that is not `Send`.
struct Plain {
    shared: Rc<Cell<i64>>,
    numbers: RefCell<Vec<i64>>,
}

/// As most would write it. Streams borrow from the service and hold what is not `Send`.
impl Counter for Plain {
    async fn add(&self, request: Request<Number>) -> Answer<Number> {
        let value = self.shared.get() + request.into_inner().value;
        std::future::ready(()).await;
        self.shared.set(value);
        Ok(Response::new(Number { value }))
    }

    async fn sum(&self, mut request: Request<Streaming<Number>>) -> Answer<Number> {
        let mut sum = 0;
        while let Some(number) = request.get_mut().message().await? {
            sum += number.value;
        }
        Ok(Response::new(Number { value: sum }))
    }

    async fn count_to(&self, _: Request<Number>) -> Answer<impl Stream<Item = Result<Number, Status>>> {
        let numbers = self.numbers.borrow();
        let next = move |at: usize| std::future::ready(numbers.get(at).map(|value| (Ok(Number { value: *value }), at + 1)));
        Ok(Response::new(stream::unfold(0, next)))
    }

    // Boxed, yet announced as any stream.
    async fn running_sum(&self, request: Request<Streaming<Number>>) -> Answer<impl Stream<Item = Result<Number, Status>>> {
        let sums = stream::try_unfold((request.into_inner(), &self.shared), |(mut numbers, sum)| async move {
            let Some(number) = numbers.message().await? else { return Ok(None) };
            sum.set(sum.get() + number.value);
            Ok(Some((Number { value: sum.get() }, (numbers, sum))))
        });
        let sums: LocalBoxStream<'_, Result<Number, Status>> = Box::pin(sums);
        Ok(Response::new(sums))
    }

    // Deprecated: its implementation is no use of it.
    async fn plus(&self, request: Request<Number>) -> Answer<Number> {
        self.add(request).await
    }

    async fn old(&self, _: Request<OldNumber>) -> Answer<OldNumber> {
        Err(Status::unimplemented("too old"))
    }
}

/// Without `async fn`, and with a concrete stream.
struct Manual;

type Numbers = stream::Iter<std::vec::IntoIter<Result<Number, Status>>>;

impl Counter for Manual {
    fn add(&self, request: Request<Number>) -> impl Future<Output = Answer<Number>> {
        std::future::ready(Ok(Response::new(request.into_inner())))
    }

    fn sum(&self, _: Request<Streaming<Number>>) -> impl Future<Output = Answer<Number>> {
        Box::pin(async { Err(Status::unavailable("never")) }) as Pin<Box<dyn Future<Output = Answer<Number>>>>
    }

    #[expect(refining_impl_trait_internal, reason = "a concrete type is allowed; the compiler points out that callers see it")]
    async fn count_to(&self, _: Request<Number>) -> Answer<Numbers> {
        Ok(Response::new(stream::iter(Vec::new())))
    }

    async fn running_sum(&self, request: Request<Streaming<Number>>) -> Answer<impl Stream<Item = Result<Number, Status>>> {
        Ok(Response::new(request.into_inner()))
    }

    async fn plus(&self, request: Request<Number>) -> Answer<Number> {
        Ok(Response::new(request.into_inner()))
    }

    async fn old(&self, request: Request<OldNumber>) -> Answer<OldNumber> {
        Ok(Response::new(request.into_inner()))
    }
}

struct Names;

impl names::Keywords for Names {
    async fn r#type(&self, _: Request<names::Option>) -> Answer<names::Result> {
        Ok(Response::new(names::Result {}))
    }
    async fn r#async(&self, _: Request<Streaming<names::Option>>) -> Answer<names::Result> {
        Ok(Response::new(names::Result {}))
    }
    async fn r#match(&self, _: Request<names::Option>) -> Answer<impl Stream<Item = Result<names::Result, Status>>> {
        Ok(Response::new(stream::empty()))
    }
    async fn self_(&self, _: Request<names::Option>) -> Answer<names::Result> {
        Ok(Response::new(names::Result {}))
    }
    async fn super_(&self, _: Request<names::Option>) -> Answer<names::Result> {
        Ok(Response::new(names::Result {}))
    }
}

impl names::Traits for Names {
    async fn clone(&self, _: Request<names::Request>) -> Answer<names::Response> {
        Ok(Response::new(names::Response {}))
    }
    async fn drop(&self, _: Request<names::Request>) -> Answer<impl Stream<Item = Result<names::Response, Status>>> {
        Ok(Response::new(stream::empty()))
    }
    async fn borrow(&self, _: Request<Streaming<names::Request>>) -> Answer<names::Response> {
        Ok(Response::new(names::Response {}))
    }
    async fn into(&self, _: Request<Streaming<names::Request>>) -> Answer<impl Stream<Item = Result<names::Response, Status>>> {
        Ok(Response::new(stream::empty()))
    }
    async fn register(&self, _: Request<names::Stream>) -> Answer<names::Status> {
        Ok(Response::new(names::Status {}))
    }
    async fn fmt(&self, _: Request<names::Streaming>) -> Answer<names::From> {
        Ok(Response::new(names::From {}))
    }
}

impl names::LowerCase for Names {}

impl well_known::Types for Names {
    async fn nothing(&self, request: Request<()>) -> Answer<()> {
        let () = request.into_inner();
        Ok(Response::new(()))
    }
    async fn when(&self, _: Request<prost_types::Timestamp>) -> Answer<prost_types::Duration> {
        Ok(Response::new(prost_types::Duration::default()))
    }
    async fn which(&self, _: Request<prost_types::Any>) -> Answer<impl Stream<Item = Result<prost_types::Struct, Status>>> {
        Ok(Response::new(stream::empty()))
    }
    async fn is(&self, request: Request<bool>) -> Answer<bool> {
        Ok(Response::new(request.into_inner()))
    }
    async fn count(&self, _: Request<Streaming<i64>>) -> Answer<u32> {
        Ok(Response::new(0))
    }
    async fn measure(&self, _: Request<f32>) -> Answer<f64> {
        Ok(Response::new(0.0))
    }
    async fn name(&self, request: Request<String>) -> Answer<Vec<u8>> {
        Ok(Response::new(request.into_inner().into_bytes()))
    }
}

impl no_package::Rootless for Names {
    async fn get(&self, request: Request<no_package::outer::Inner>) -> Answer<no_package::Outer> {
        Ok(Response::new(no_package::Outer { inner: Some(request.into_inner()) }))
    }
}

impl renamed::Shelf for Names {
    async fn get(&self, request: Request<renamed::Item>) -> Answer<renamed::Item> {
        Ok(Response::new(request.into_inner()))
    }
    async fn get_quietly(&self, request: Request<renamed::Item>) -> Answer<renamed::Item> {
        Ok(Response::new(request.into_inner()))
    }
    async fn new_one(&self, request: Request<renamed::Item>) -> Answer<renamed::Item> {
        Ok(Response::new(request.into_inner()))
    }
}

impl packages::outer::inner::Deep for Names {
    async fn here(&self, request: Request<packages::outer::inner::Own>) -> Answer<packages::outer::inner::Own> {
        Ok(Response::new(request.into_inner()))
    }
    async fn up(&self, request: Request<packages::outer::Thing>) -> Answer<packages::outer::thing::Part> {
        Ok(Response::new(request.into_inner().part.unwrap_or_default()))
    }
    async fn across(
        &self,
        request: Request<Streaming<packages::outer::beside::v1::Neighbour>>,
    ) -> Answer<impl Stream<Item = Result<packages::outer::beside::v1::Neighbour, Status>>> {
        Ok(Response::new(request.into_inner()))
    }
    async fn outside(&self, _: Request<elsewhere::Foreign>) -> Answer<packages::outer::inner::Own> {
        Ok(Response::new(packages::outer::inner::Own {}))
    }
}

fn name_of<S: LocalService>(_: &S) -> &'static str {
    S::NAME
}

#[test]
fn services_have_the_protos_names() {
    let shared = Rc::new(Plain { shared: Rc::default(), numbers: RefCell::default() });
    assert_eq!(name_of(&CounterServer::from_rc(Rc::clone(&shared))), "kinds.Counter");
    assert_eq!(name_of(&CounterServer::new(Manual).clone()), "kinds.Counter");
    assert_eq!(name_of(&names::KeywordsServer::new(Names)), "names.type.Keywords");
    assert_eq!(name_of(&names::LowerCaseServer::new(Names)), "names.type.lower_case");
    assert_eq!(name_of(&no_package::RootlessServer::new(Names)), "Rootless");
    assert_eq!(name_of(&renamed::ShelfServer::new(Names)), "renamed.Store");
    assert_eq!(name_of(&packages::outer::inner::DeepServer::new(Names)), "outer.inner.Deep");
}

#[test]
fn servers_become_routers_and_stand_side_by_side() {
    let _alone: Router = names::TraitsServer::new(Names).into();
    let many = Router::new().add(well_known::TypesServer::new(Names)).add(renamed::ShelfServer::new(Names));
    let many = format!("{many:?}");
    for path in ["/well_known.Types/Nothing", "/well_known.Types/Name", "/renamed.Store/Get", "/renamed.Store/get", "/renamed.Store/New"] {
        assert!(many.contains(path), "{path} in {many}");
    }
}

#[test]
fn a_server_tells_its_limits_alone() {
    let server = CounterServer::new(Manual).max_decoding_message_size(17).max_encoding_message_size(19);
    let debug = format!("{server:?}");
    assert!(debug.starts_with("CounterServer") && debug.contains("17") && debug.contains("19"), "{debug}");
}

#[test]
fn the_descriptor_set_is_kept() {
    let named = |name: &str| kinds::DESCRIPTORS.windows(name.len()).any(|window| window == name.as_bytes());
    assert!(named("kinds.proto") && named("RunningSum"));
}
