//! isthmus-tests
