\ir orders_table.sql
