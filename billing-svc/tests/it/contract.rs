//! The calls of billing-svc and their messages, as the compiled contract has them.

use prost::Message as _;
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};

/// One call, and what it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Rpc {
    /// Such as `BillingService/Reserve`.
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) request: DescriptorProto,
    messages: Vec<DescriptorProto>,
}

/// Every call of both services.
pub(crate) fn rpcs() -> Vec<Rpc> {
    let set = FileDescriptorSet::decode(proto::DESCRIPTORS).unwrap();
    let files = set.file.iter().filter(|file| file.package() == "medialab.billing.v1");
    let messages: Vec<_> = files.clone().flat_map(|file| file.message_type.clone()).collect();
    let services = files.flat_map(|file| &file.service);
    let calls = services.flat_map(|service| {
        service.method.iter().map(|method| {
            let name = format!("{}/{}", service.name(), method.name());
            let input = method.input_type().rsplit('.').next().unwrap();
            let request = messages.iter().find(|message| message.name() == input).unwrap();
            Rpc {
                path: format!("/medialab.billing.v1.{name}"),
                name,
                request: request.clone(),
                messages: messages.clone(),
            }
        })
    });
    calls.collect()
}

impl Rpc {
    /// Whether its first field says whose account it is about.
    pub(crate) fn is_about_a_user(&self) -> bool {
        let first = self.request.field.first();
        // VerifyLedger takes 0 for all users.
        first.is_some_and(|f| f.name() == "user_id" && f.oneof_index.is_none())
            && !self.name.ends_with("/VerifyLedger")
    }

    /// Every text that a request can hold, each as a message with `bytes` in its place.
    pub(crate) fn with_each_text(&self, bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
        self.texts_of(&self.request, bytes)
    }

    fn texts_of(&self, message: &DescriptorProto, bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut texts = Vec::new();
        for field in &message.field {
            if field.r#type() == Type::String {
                texts.push((field.name().to_owned(), crate::raw::field(field.number(), bytes)));
            }
            let inner = field.type_name().rsplit('.').next().unwrap_or_default();
            let nested = message.nested_type.iter().chain(&self.messages);
            let nested = nested.filter(|_| field.r#type() == Type::Message);
            for inner in nested.into_iter().filter(|m| m.name() == inner).take(1) {
                texts.extend(self.texts_of(inner, bytes).into_iter().map(|(name, value)| {
                    let name = format!("{}.{name}", field.name());
                    (name, crate::raw::field(field.number(), &value))
                }));
            }
        }
        texts
    }
}
