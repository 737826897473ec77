//! The languages we share with Prometheus and Alertmanager, judged by their own tools.

mod templates;
