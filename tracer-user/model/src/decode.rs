//! From kernel records to inputs.
