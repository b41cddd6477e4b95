//! The options of a transport: what it declares, and what was given.
//!
//! A transport declares its options as values ([`OptionSpec`]). So a command can make flags of them,
//! show help, take defaults from the environment, and name what it does not know, for a transport
//! it has never heard of.

use std::fmt::Display;
use std::str::FromStr;

use crate::error::TransportError;
use crate::transport::Role;

/// One option of a transport.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    /// Its name, as in `--plans-address`: lower case, words joined by `-`.
    pub name: &'static str,
    /// What stands for its value in help (`ADDRESS`); none for a switch, which is on where it is
    /// given, and takes `true` or `false` in files.
    pub value: Option<&'static str>,
    /// One or two sentences for people.
    pub help: &'static str,
    /// The environment variable whose value is the default.
    pub variable: Option<&'static str>,
    /// The value where neither the option nor the variable is given, for help and for use.
    pub default: Option<&'static str>,
    /// Whether it may be given more than once.
    pub repeats: Repeats,
    /// For whom it is.
    pub roles: &'static [Role],
}

/// How often an option may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeats {
    /// At most once.
    Once,
    /// Any number of times; the order counts.
    Often,
}

impl OptionSpec {
    /// An option with a value, given at most once, for all roles. `value` is what stands for it in
    /// help.
    pub const fn new(name: &'static str, value: &'static str, help: &'static str) -> Self {
        Self {
            name,
            value: Some(value),
            help,
            variable: None,
            default: None,
            repeats: Repeats::Once,
            roles: &[Role::Optimizer, Role::Application, Role::Diagnoser],
        }
    }

    /// A switch, for all roles.
    pub const fn switch(name: &'static str, help: &'static str) -> Self {
        Self {
            value: None,
            ..Self::new(name, "", help)
        }
    }

    /// With an environment variable whose value is the default.
    #[must_use]
    pub const fn or_variable(self, variable: &'static str) -> Self {
        Self {
            variable: Some(variable),
            ..self
        }
    }

    /// With a value for where nothing is given.
    #[must_use]
    pub const fn or(self, default: &'static str) -> Self {
        Self {
            default: Some(default),
            ..self
        }
    }

    /// May be given more than once.
    #[must_use]
    pub const fn often(self) -> Self {
        Self {
            repeats: Repeats::Often,
            ..self
        }
    }

    /// Only for these roles.
    #[must_use]
    pub const fn only_for(self, roles: &'static [Role]) -> Self {
        Self { roles, ..self }
    }
}

/// The options given to a transport, in order, checked against what it declares.
#[derive(Debug, Clone, Default)]
pub struct Options {
    given: Vec<(&'static OptionSpec, String)>,
    specs: Vec<&'static OptionSpec>,
}

impl Options {
    /// Checks what was given: pairs of name and value, a switch with `true` or `false`. What is
    /// missing is filled in from the environment, which `variable` looks up, then from the defaults.
    ///
    /// # Errors
    /// An option that is unknown, is not for this role, or is given more often than it may be.
    pub fn check<N: AsRef<str>>(
        specs: &'static [OptionSpec],
        role: Role,
        given: impl IntoIterator<Item = (N, String)>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, TransportError> {
        let specs: Vec<_> = specs.iter().filter(|s| s.roles.contains(&role)).collect();
        let mut options = Self {
            given: Vec::new(),
            specs,
        };
        for (name, value) in given {
            options.add(name.as_ref(), value)?;
        }
        for spec in options.specs.clone() {
            if options.all(spec.name).next().is_some() {
                continue;
            }
            let from_environment = spec.variable.and_then(variable);
            let value = from_environment.filter(|v| !v.is_empty());
            if let Some(value) = value.or_else(|| spec.default.map(str::to_owned)) {
                options.given.push((spec, value));
            }
        }
        Ok(options)
    }

    fn add(&mut self, name: &str, value: String) -> Result<(), TransportError> {
        let Some(spec) = self.specs.iter().copied().find(|s| s.name == name) else {
            let known: Vec<_> = self.specs.iter().map(|s| s.name).collect();
            let problem = format!(
                "there is none of this name; there are: {}",
                known.join(", ")
            );
            return Err(TransportError::option(name, problem));
        };
        if spec.repeats == Repeats::Once && self.all(name).next().is_some() {
            return Err(TransportError::option(
                name,
                "given twice; leave one of them",
            ));
        }
        self.given.push((spec, value));
        Ok(())
    }

    /// Its value, if it has one.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All its values, in order.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let declared = self.specs.iter().find(|s| s.name == name).map(|s| s.name);
        let of_name = self
            .given
            .iter()
            .filter(move |(s, _)| Some(s.name) == declared);
        of_name.map(|(_, value)| value.as_str())
    }

    /// Its value, which must be there.
    ///
    /// # Errors
    /// It is not; the error names the environment variable that would do, too.
    pub fn required(&self, name: &str) -> Result<&str, TransportError> {
        self.get(name).ok_or_else(|| {
            let spec = self.specs.iter().find(|s| s.name == name);
            let or = spec.and_then(|s| s.variable);
            let or = or.map_or(String::new(), |v| format!(" or set {v}"));
            TransportError::option(name, format!("missing; give --{name}{or}"))
        })
    }

    /// Its value, read as a `T`. `expected` says in an error what it should be.
    ///
    /// # Errors
    /// It is no `T`.
    pub fn parsed<T: FromStr>(
        &self,
        name: &str,
        expected: impl Display,
    ) -> Result<Option<T>, TransportError> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let value = text.trim().parse();
        let wrong =
            |_| TransportError::option(name, format!("expected {expected}, found {text:?}"));
        value.map(Some).map_err(wrong)
    }

    /// Whether a switch is on.
    ///
    /// # Errors
    /// It is neither `true` (or `1`) nor `false` (or `0`).
    pub fn is_on(&self, name: &str) -> Result<bool, TransportError> {
        match self.get(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(other) => Err(TransportError::option(
                name,
                format!("expected true or false, found {other:?}"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECS: &[OptionSpec] = &[
        OptionSpec::new("address", "ADDRESS", "Where.").or_variable("ADDRESS_VARIABLE"),
        OptionSpec::new("size", "N", "How much.").or("16"),
        OptionSpec::new("also", "X", "More.").often(),
        OptionSpec::switch("bind", "Listen.").only_for(&[Role::Optimizer]),
    ];

    fn check(given: &[(&str, &str)]) -> Result<Options, String> {
        let given = given.iter().map(|(n, v)| (*n, (*v).to_owned()));
        let variable = |name: &str| (name == "ADDRESS_VARIABLE").then(|| "from outside".to_owned());
        Options::check(SPECS, Role::Optimizer, given, &variable).map_err(|e| e.to_string())
    }

    #[test]
    fn what_is_given_goes_before_the_environment_and_the_default() {
        let options = check(&[]).unwrap();
        assert_eq!(options.get("address"), Some("from outside"));
        assert_eq!(options.parsed("size", "a number").unwrap(), Some(16));
        let options = check(&[("address", "here"), ("size", "3")]).unwrap();
        assert_eq!(options.required("address").unwrap(), "here");
        assert_eq!(options.parsed("size", "a number").unwrap(), Some(3));
    }

    #[test]
    fn an_unknown_option_is_named_with_those_that_there_are() {
        assert_eq!(
            check(&[("adress", "x")]).unwrap_err(),
            "option `adress`: cannot open: there is none of this name; there are: address, size, also, bind"
        );
    }

    #[test]
    fn an_option_may_be_repeated_only_where_that_means_something() {
        assert!(check(&[("size", "1"), ("size", "2")]).is_err());
        let options = check(&[("also", "a"), ("also", "b")]).unwrap();
        assert_eq!(options.all("also").collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn an_option_of_another_role_is_unknown() {
        let given = [("bind", "true".to_owned())];
        assert!(Options::check(SPECS, Role::Application, given, &|_| None).is_err());
    }

    #[test]
    fn what_is_missing_or_wrong_says_what_to_give() {
        let options = Options::check(
            SPECS,
            Role::Optimizer,
            [("size", "big".to_owned())],
            &|_| None,
        );
        let options = options.unwrap();
        assert_eq!(
            options.required("address").unwrap_err().to_string(),
            "option `address`: cannot open: missing; give --address or set ADDRESS_VARIABLE"
        );
        assert_eq!(
            options
                .parsed::<u32>("size", "a whole number")
                .unwrap_err()
                .to_string(),
            "option `size`: cannot open: expected a whole number, found \"big\""
        );
    }

    #[test]
    fn a_switch_is_on_or_off() {
        assert!(!check(&[]).unwrap().is_on("bind").unwrap());
        assert!(check(&[("bind", "true")]).unwrap().is_on("bind").unwrap());
        assert!(check(&[("bind", "maybe")]).unwrap().is_on("bind").is_err());
    }
}
