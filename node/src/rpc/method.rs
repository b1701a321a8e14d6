//! A method of ours: what it is, and how it answers.

use std::sync::Arc;

use cairn_runtime::{opaque::Block, Hash};
use codec::Decode;
use jsonrpsee_substrate::{
    core::{RegisterMethodError, RpcResult},
    types::Params,
    RpcModule,
};
use scale_info::{MetaType, TypeInfo};
use serde::Serialize;
use sp_api::{ApiRef, ProvideRuntimeApi};
use sp_blockchain::HeaderBackend;

use super::parameters::{Declared, Parameter, Parameters};
use crate::service::Client;

/// What the runtime answers.
type Api = <Client as ProvideRuntimeApi<Block>>::Api;
/// Adds a method to those that are served.
type Register = dyn FnOnce(&mut RpcModule<Arc<Client>>) -> Result<(), RegisterMethodError>;

/// A method of ours.
pub struct Method {
    /// Its name.
    pub name: &'static str,
    /// What it answers, in words.
    pub about: &'static str,
    /// What it takes.
    pub parameters: &'static [Declared],
    /// The type of its answer.
    pub answer: MetaType,
    register: Box<Register>,
    /// An answer from SCALE, if it is one.
    #[cfg(test)]
    pub sample: fn(&mut &[u8]) -> Option<serde_json::Value>,
}

impl Method {
    /// Serves it.
    ///
    /// # Errors
    /// There is one of that name.
    pub fn register(self, module: &mut RpcModule<Arc<Client>>) -> Result<(), RegisterMethodError> {
        (self.register)(module)
    }
}

/// A call of a method of ours.
pub struct Call<'a> {
    /// Who is asked.
    pub client: &'a Client,
    parameters: Parameters,
}

impl<'a> Call<'a> {
    /// The next parameter, which has to be there.
    pub fn required<T: Parameter>(&mut self) -> RpcResult<T> {
        self.parameters.required()
    }

    /// The next parameter, which may be null or left out.
    pub fn optional<T: Parameter>(&mut self) -> RpcResult<Option<T>> {
        self.parameters.optional()
    }

    /// The next two parameters of a method that answers in pages: where the page begins, and how long it may be;
    /// `first` and `most` if nothing is said.
    pub fn page<T: Parameter>(&mut self, first: T, most: u32) -> RpcResult<(T, u32)> {
        self.parameters.page(first, most)
    }

    /// The last parameter of every method: who is asked, and the block to answer from.
    pub fn api(&mut self) -> RpcResult<(ApiRef<'a, Api>, Hash)> {
        let at = self.optional()?;
        let at = at.unwrap_or_else(|| self.client.info().best_hash);
        Ok((self.client.runtime_api(), at))
    }
}

/// Adds a method that has these parameters.
pub fn method<Answer: Serialize + Decode + TypeInfo + Clone + 'static>(
    all: &mut Vec<Method>,
    (name, about): (&'static str, &'static str),
    parameters: &'static [Declared],
    answer: impl Fn(&mut Call<'_>) -> RpcResult<Answer> + Send + Sync + 'static,
) {
    let called = move |params: Params<'_>, client: &Arc<Client>, _: &_| -> RpcResult<Answer> {
        let parameters = Parameters::new(&params, parameters)?;
        answer(&mut Call { client, parameters })
    };
    all.push(Method {
        name,
        about,
        parameters,
        answer: MetaType::new::<Answer>(),
        register: Box::new(move |module: &mut RpcModule<Arc<Client>>| {
            module.register_method(name, called).map(|_| ())
        }),
        #[cfg(test)]
        sample: |bytes| {
            let answer = Answer::decode(bytes).ok()?;
            serde_json::to_value(answer).ok()
        },
    });
}
