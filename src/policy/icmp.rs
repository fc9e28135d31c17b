//! ICMP fields and the names of ICMP types (`semantics.md` 1.4, 3.6).

use crate::manifest::Text;
use crate::source::Spanned;
use crate::traffic::IcmpFamily;
use crate::yaml::Value;

/// One item of `icmps[].fields`.
#[derive(Debug, Clone)]
pub struct Field<'s> {
    /// The item.
    pub value: Value<'s>,
    /// `family`, IPv4 where it is missing; `None` when it is something else (V15).
    pub family: Option<IcmpFamily>,
    /// `type` as text, number or name; `None` when it is missing (V16).
    pub kind: Option<Spanned<Text<'s>>>,
}

/// Which types of a family a field opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Types {
    /// All of them: type 0, and text that cannot be read as a number.
    All,
    /// This one.
    One(u8),
    /// None: the number is no ICMP type.
    None,
}

impl Field<'_> {
    /// Whether a message of this type is covered.
    pub fn covers(&self, family: IcmpFamily, kind: u8) -> bool {
        let types = self.kind.as_ref().map_or(Types::None, |own| types(family, &own.value));
        self.family == Some(family) && (types == Types::All || types == Types::One(kind))
    }
}

/// What a type's text opens. Type 0 opens every type of the family, since the
/// datapath reads a zero port as "all"; so does text that reads as no number.
pub fn types(family: IcmpFamily, text: &str) -> Types {
    if let Some(number) = number_of(family, text) {
        return if number == 0 { Types::All } else { Types::One(number) };
    }
    let leading_zero = text.len() > 1 && text.starts_with('0');
    match text.parse::<u32>() {
        Ok(0) => Types::All,
        Ok(_) if leading_zero && text.bytes().any(|b| b > b'7') => Types::All,
        Ok(_) if leading_zero => match u32::from_str_radix(text, 8) {
            Ok(number) => u8::try_from(number).map_or(Types::None, Types::One),
            Err(_) => Types::None,
        },
        Ok(number) => u8::try_from(number).map_or(Types::None, Types::One),
        Err(_) => Types::All,
    }
}

/// The number that a type's name stands for, case-sensitive.
pub fn number_of(family: IcmpFamily, name: &str) -> Option<u8> {
    let names: &[(&str, u8)] = match family {
        IcmpFamily::V4 => &V4,
        IcmpFamily::V6 => &V6,
    };
    names.iter().find(|(own, _)| *own == name).map(|&(_, number)| number)
}

const V4: [(&str, u8); 14] = [
    ("EchoReply", 0),
    ("DestinationUnreachable", 3),
    ("Redirect", 5),
    ("Echo", 8),
    ("EchoRequest", 8),
    ("RouterAdvertisement", 9),
    ("RouterSelection", 10),
    ("TimeExceeded", 11),
    ("ParameterProblem", 12),
    ("Timestamp", 13),
    ("TimestampReply", 14),
    ("Photuris", 40),
    ("ExtendedEchoRequest", 42),
    ("ExtendedEchoReply", 43),
];

const V6: [(&str, u8); 27] = [
    ("DestinationUnreachable", 1),
    ("PacketTooBig", 2),
    ("TimeExceeded", 3),
    ("ParameterProblem", 4),
    ("EchoRequest", 128),
    ("EchoReply", 129),
    ("MulticastListenerQuery", 130),
    ("MulticastListenerReport", 131),
    ("MulticastListenerDone", 132),
    ("RouterSolicitation", 133),
    ("RouterAdvertisement", 134),
    ("NeighborSolicitation", 135),
    ("NeighborAdvertisement", 136),
    ("RedirectMessage", 137),
    ("RouterRenumbering", 138),
    ("ICMPNodeInformationQuery", 139),
    ("ICMPNodeInformationResponse", 140),
    ("InverseNeighborDiscoverySolicitation", 141),
    ("InverseNeighborDiscoveryAdvertisement", 142),
    ("HomeAgentAddressDiscoveryRequest", 144),
    ("HomeAgentAddressDiscoveryReply", 145),
    ("MobilePrefixSolicitation", 146),
    ("MobilePrefixAdvertisement", 147),
    ("DuplicateAddressRequestCodeSuffix", 157),
    ("DuplicateAddressConfirmationCodeSuffix", 158),
    ("ExtendedEchoRequest", 160),
    ("ExtendedEchoReply", 161),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_zero_and_unreadable_types_open_the_family() {
        let v4 = IcmpFamily::V4;
        assert_eq!(types(v4, "8"), Types::One(8));
        assert_eq!(types(v4, "EchoRequest"), Types::One(8));
        assert_eq!(types(v4, "EchoReply"), Types::All);
        assert_eq!(types(v4, "0"), Types::All);
        assert_eq!(types(v4, "08"), Types::All);
        assert_eq!(types(v4, "-3"), Types::All);
        assert_eq!(types(v4, "300"), Types::None);
        assert_eq!(types(IcmpFamily::V6, "EchoReply"), Types::One(129));
    }
}
