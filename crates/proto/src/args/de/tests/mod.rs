mod arguments;
mod differential;
mod values;
