//! The trait that a user implements, and the server that loopswap serves. Everything is named by its absolute path and traits' methods by their
//! trait, because a .proto may call its messages `Option` and its methods `Clone`.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use crate::service::{Method, Service};

/// Trait and server of a service. `loopswap` is the path to that crate.
pub(crate) fn generate(service: &Service, loopswap: &TokenStream) -> TokenStream {
    let r#trait = format_ident!("{}", service.name);
    let server = format_ident!("{}Server", service.name);
    let declaration = declare_trait(service, &r#trait, &server, loopswap);
    let definition = define_server(service, &r#trait, &server, loopswap);
    let registration = register(service, &r#trait, &server, loopswap);
    quote! { #declaration #definition #registration }
}

fn declare_trait(service: &Service, r#trait: &Ident, server: &Ident, loopswap: &TokenStream) -> TokenStream {
    let full_name = service.full_name();
    let or_else = format!(" The service `{full_name}`. [`{server}`] makes of it what is served.");
    let docs = docs(&service.docs, &or_else);
    let methods = service.methods.iter().map(|method| declare_method(method, loopswap));
    quote! {
        #docs
        #[allow(dead_code, deprecated, clippy::all, clippy::pedantic)]
        pub trait #r#trait: 'static {
            #(#methods)*
        }
    }
}

fn declare_method(method: &Method, loopswap: &TokenStream) -> TokenStream {
    let name = format_ident!("{}", method.name);
    let docs = docs(&method.docs, &format!(" The method `{}`.", method.proto_name));
    let deprecated = method.deprecated.then(|| quote! { #[deprecated] });
    let (request, response) = method.types("");
    let request = if method.client_streaming {
        quote! { #loopswap::Streaming<#request> }
    } else {
        request
    };
    let response = if method.server_streaming {
        quote! { impl #loopswap::Stream<Item = ::core::result::Result<#response, #loopswap::Status>> }
    } else {
        response
    };
    quote! {
        #docs
        #deprecated
        fn #name(
            &self,
            request: #loopswap::Request<#request>,
        ) -> impl ::core::future::Future<Output = ::core::result::Result<#loopswap::Response<#response>, #loopswap::Status>>;
    }
}

fn define_server(service: &Service, r#trait: &Ident, server: &Ident, loopswap: &TokenStream) -> TokenStream {
    let of_what = format!(" Serves a [`{}`] as `{}`.", r#trait, service.full_name());
    let name = server.to_string();
    quote! {
        #[doc = #of_what]
        ///
        /// Its clones share the service.
        #[allow(dead_code)]
        pub struct #server<T> {
            service: ::std::rc::Rc<T>,
            limits: #loopswap::MessageLimits,
            compression: #loopswap::Compression,
            interceptors: #loopswap::Interceptors,
        }

        #[allow(dead_code, clippy::all, clippy::pedantic)]
        impl<T> #server<T> {
            /// Serves this service.
            pub fn new(service: T) -> Self {
                Self::from_rc(::std::rc::Rc::new(service))
            }

            /// Serves a service that others of this worker use as well.
            pub fn from_rc(service: ::std::rc::Rc<T>) -> Self {
                Self {
                    service,
                    limits: ::core::default::Default::default(),
                    compression: ::core::default::Default::default(),
                    interceptors: ::core::default::Default::default(),
                }
            }

            /// Serves this service behind an interceptor of tonic's shape, `FnMut(tonic::Request<()>) -> Result<tonic::Request<()>, Status>`, which sees
            /// metadata and extensions of a call before any message is decoded.
            pub fn with_interceptor<I>(service: T, interceptor: I) -> Self
            where
                I: #loopswap::service::SyncInterceptor + 'static,
            {
                Self::new(service).intercept(#loopswap::TonicInterceptor::new(interceptor))
            }

            /// Puts an interceptor around every method. Of several the first is the first to see a call.
            #[must_use]
            pub fn intercept(mut self, interceptor: impl #loopswap::Interceptor) -> Self {
                self.interceptors.push(interceptor);
                self
            }

            /// Requests may be compressed so. Without it all of gzip, deflate and zstd are accepted; the first that is named is accepted alone, each further
            /// one besides. Another is UNIMPLEMENTED, and the client told what would do.
            ///
            /// # Panics
            ///
            /// For zstd, where loopswap was built without its feature `zstd`.
            #[must_use]
            pub fn accept_compressed(mut self, encoding: #loopswap::CompressionEncoding) -> Self {
                self.compression.accept(encoding);
                self
            }

            /// Responses are compressed so for clients that accept it: of several, by the one that the client names first. A message that would become no smaller
            /// goes as it is.
            ///
            /// # Panics
            ///
            /// As [`accept_compressed`](Self::accept_compressed).
            #[must_use]
            pub fn send_compressed(mut self, encoding: #loopswap::CompressionEncoding) -> Self {
                self.compression.send(encoding);
                self
            }

            /// The largest message that a client may send, in bytes as protobuf encodes it; 4 MiB unless it is set. Larger ones fail their call
            /// with RESOURCE_EXHAUSTED.
            #[must_use]
            pub fn max_decoding_message_size(mut self, limit: usize) -> Self {
                self.limits.decode_bytes_max = limit;
                self
            }

            /// The largest message that the service may send, in bytes as it is sent, compressed or not; as large as gRPC can say unless it is set. Larger ones fail
            /// their call with RESOURCE_EXHAUSTED.
            #[must_use]
            pub fn max_encoding_message_size(mut self, limit: usize) -> Self {
                self.limits.encode_bytes_max = limit;
                self
            }
        }

        impl<T> ::core::clone::Clone for #server<T> {
            fn clone(&self) -> Self {
                Self {
                    service: ::std::rc::Rc::clone(&self.service),
                    limits: self.limits,
                    compression: self.compression,
                    interceptors: ::core::clone::Clone::clone(&self.interceptors),
                }
            }
        }

        impl<T> ::core::fmt::Debug for #server<T> {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(#name).field("limits", &self.limits).finish_non_exhaustive()
            }
        }
    }
}

fn register(service: &Service, r#trait: &Ident, server: &Ident, loopswap: &TokenStream) -> TokenStream {
    let full_name = service.full_name();
    let methods = service.methods.iter().map(|method| register_method(method, r#trait));
    quote! {
        #[allow(dead_code, deprecated, clippy::all, clippy::pedantic)]
        impl<T: #r#trait> #loopswap::LocalService for #server<T> {
            const NAME: &'static str = #full_name;

            fn register(self, methods: &mut #loopswap::Methods) {
                methods.message_limits(self.limits);
                methods.compression(self.compression);
                methods.interceptors(self.interceptors);
                #(#methods)*
            }
        }

        impl<T: #r#trait> ::core::convert::From<#server<T>> for #loopswap::Router {
            fn from(server: #server<T>) -> Self {
                Self::new().add(server)
            }
        }
    }
}

/// The handler of a method: it owns a count of the service, and so does each call's future.
fn register_method(method: &Method, r#trait: &Ident) -> TokenStream {
    let name = format_ident!("{}", method.name);
    let wire_name = &method.proto_name;
    let kind = match (method.client_streaming, method.server_streaming) {
        (false, false) => quote!(unary),
        (true, false) => quote!(client_streaming),
        (false, true) => quote!(server_streaming),
        (true, true) => quote!(streaming),
    };
    let call = quote! { <T as #r#trait>::#name(&service, request).await };
    let (arguments, answer) = if method.server_streaming {
        // Here rather than in the trait, so that the stream may borrow from the service, which this future holds.
        (quote! { request, mut replies }, quote! { replies.send_all(#call?).await })
    } else {
        (quote! { request }, call)
    };
    quote! {
        let service = ::std::rc::Rc::clone(&self.service);
        methods.#kind(#wire_name, move |#arguments| {
            let service = ::std::rc::Rc::clone(&service);
            async move { #answer }
        });
    }
}

/// Documentation: the .proto's, or this line.
fn docs(lines: &[String], or_else: &str) -> TokenStream {
    let or_else = [or_else.to_owned()];
    let lines = if lines.is_empty() { &or_else[..] } else { lines };
    quote! { #(#[doc = #lines])* }
}
